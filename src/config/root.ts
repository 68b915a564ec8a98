/** The outermost keywords, and with them all others. */
import { globalDefs } from "./global_keywords.ts";
import { named } from "./readers.ts";
import { block, type BlockRow, type Values } from "./schema.ts";
import { vrrpInstance } from "./vrrp_keywords.ts";

/** The outermost keywords. */
export const root = block(() => ({
  global_defs: globals(),
  vrrp_instance: named("NAME { ... } - one virtual router", "vrrp_instance", vrrpInstance, {
    missing: "vrrp_instance must have a name",
    duplicate: (name) => `vrrp instance ${name} already defined`,
  }),
}));

/** It may come several times; what it says adds up. */
function globals(): BlockRow<Values<typeof globalDefs>> {
  return {
    doc: "{ ... } - settings of the whole daemon; may come several times",
    shape: "block",
    initial: globalDefs.initial() as Values<typeof globalDefs>,
    inside: globalDefs,
    resume: (before) => before,
    open: (_node, context) => context,
    close: (values) => values as Values<typeof globalDefs>,
    format: (values) => [{ words: "", values }],
  };
}
