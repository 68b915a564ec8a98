/** Loaded before every test file: what tests left behind is gone when the run ends, failed or not. */
import { afterAll } from "bun:test";
import { removeNetworks } from "./namespaces.ts";

afterAll(removeNetworks);
