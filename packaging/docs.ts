/** Writes the documents that are made from the keyword tables: `npm run docs`. */
import { readFileSync, writeFileSync } from "node:fs";
import { referenceText, withGeneratedParts } from "../src/config/reference.ts";
import { root } from "../src/config/root.ts";

const COMPATIBILITY = "docs/COMPATIBILITY.md";

writeFileSync("docs/keywords.md", referenceText(root));
writeFileSync(COMPATIBILITY, withGeneratedParts(readFileSync(COMPATIBILITY, "utf8"), root));
