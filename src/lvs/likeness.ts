/**
 * Changes as they travel to the role, and as it keeps them. Fleets have thousands of servers that differ in an
 * address: what they have in common with the first one, the model, is neither said nor kept again. On
 * arrival they are objects whose prototype is the model, or its part.
 */

import type { VirtualServer } from "../config/lvs.ts";
import { type Balanced, isAlike, type LvsChange } from "./changes.ts";

/** A value by what tells it from its model. Plain JSON. */
interface Likeness {
  readonly like: Readonly<Record<string, unknown>>;
}

type Servers = Extract<LvsChange, { readonly balanced: Balanced }>;

type ThinChange =
  | Exclude<LvsChange, Servers>
  | Omit<Servers, "balanced"> & {
    readonly balanced: Omit<Balanced, "server"> & { readonly server: VirtualServer | Likeness };
  };

/** Changes that share a model. Plain JSON. */
export interface ThinChanges {
  /** The first virtual server of all, if there is any. */
  readonly model?: VirtualServer;
  readonly changes: readonly ThinChange[];
}

/** Changes with what they have in common said once. */
export function thin(changes: readonly LvsChange[]): ThinChanges {
  const model = changes.find((one) => "balanced" in one)?.balanced.server;
  if (model === undefined) return { changes: changes as readonly ThinChange[] };
  return {
    model,
    changes: changes.map((change): ThinChange => {
      if (!("balanced" in change)) return change;
      const server = likenessOf(change.balanced.server, model) as VirtualServer | Likeness;
      return { ...change, balanced: { ...change.balanced, server } };
    }),
  };
}

/** The changes again. */
export function whole({ model, changes }: ThinChanges): readonly LvsChange[] {
  return changes.map((change): LvsChange => {
    if (!("balanced" in change)) return change;
    const server = likeModel(change.balanced.server, model) as VirtualServer;
    return { ...change, balanced: { ...change.balanced, server } };
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a list of objects has as its model's part: the first object of the model's list. */
function modelIn(list: unknown): unknown {
  return Array.isArray(list) && isObject(list[0]) ? list[0] : undefined;
}

/** Objects that lack what the model has, or are none, stay as they are. */
function likenessOf(value: unknown, model: unknown): unknown {
  if (!isObject(value) || !isObject(model)) return value;
  for (const key of Object.keys(model)) {
    if (model[key] !== undefined && value[key] === undefined) return value;
  }
  const like: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const one = value[key];
    // Where it stands in the file no role asks.
    if (key === "place" || one === undefined || isAlike(one, model[key])) continue;
    const inside = modelIn(model[key]);
    like[key] = inside === undefined || !Array.isArray(one)
      ? one
      : one.map((part) => likenessOf(part, inside));
  }
  return { like };
}

function likeModel(value: unknown, model: unknown): unknown {
  if (!isObject(value) || !isObject(model) || !isObject(value["like"])) return value;
  const made = Object.create(model) as Record<string, unknown>;
  for (const [key, one] of Object.entries(value["like"])) {
    const inside = modelIn(model[key]);
    made[key] = inside === undefined || !Array.isArray(one)
      ? one
      : one.map((part: unknown) => likeModel(part, inside));
  }
  return made;
}
