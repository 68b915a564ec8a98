/** `check` in a vrrp_script: what is looked at in place of running a script. keepalived has no such thing. */
import { complain, type Context, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

/** What a built-in check looks at; plain JSON. */
export type BuiltinCheck =
  /** Whether a host answers a ping. `host` is an address or a name. */
  | { readonly kind: "ping"; readonly host: string }
  /** Whether a port takes a connection. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  /** Whether a page is there. */
  | {
    readonly kind: "http";
    readonly url: string;
    /** The status it must have; absent: any of 200 to 299. */
    readonly status?: number;
    /** What it must contain. */
    readonly contains?: string;
  };

/** `check ping HOST | tcp HOST PORT | http URL [status N] [contains TEXT]`. */
export function builtinCheckLine(): LineRow<BuiltinCheck | undefined> {
  return {
    doc: "ping HOST | tcp HOST PORT | http URL [status N] [contains TEXT] - what is looked at in " +
      "place of a script; HOST is an address or a name; default status 200 to 299",
    shape: "line",
    initial: undefined,
    ours: true,
    read: readCheck,
    format: (value) => value === undefined ? [] : [formatCheck(value)],
  };
}

function refuse(
  node: Statement,
  context: Context,
  why: string,
  at: number,
  hint: string,
): undefined {
  const message = `(${context.who}) check ${why} - ignoring`;
  complain(context, node, "general", message, at, { hint });
}

function readCheck(node: Statement, context: Context): BuiltinCheck | undefined {
  const [, kind, target] = node.words;
  const hint = "ping HOST, tcp HOST PORT, or http URL [status N] [contains TEXT]";
  if (kind === undefined) return refuse(node, context, "without a kind", 0, hint);
  if (kind !== "ping" && kind !== "tcp" && kind !== "http") {
    return refuse(node, context, `of unknown kind ${kind}`, 1, hint);
  }
  if (target === undefined || target === "") {
    return refuse(node, context, `${kind} of nothing`, 1, hint);
  }
  switch (kind) {
    case "ping":
      return isEnd(node, context, 3) ? { kind, host: target } : undefined;
    case "tcp":
      return readTcp(node, context, target);
    case "http":
      return readHttp(node, context, target);
  }
}

function isEnd(node: Statement, context: Context, at: number): boolean {
  const word = node.words[at];
  if (word === undefined) return true;
  refuse(node, context, `has a word too many, ${word}`, at, "quote words that belong together");
  return false;
}

function readTcp(node: Statement, context: Context, host: string): BuiltinCheck | undefined {
  const hint = "a port, 1 to 65535";
  if (node.words[3] === undefined) return refuse(node, context, "tcp without a port", 2, hint);
  const port = readInteger(node, 3, context, { min: 1, max: 65_535, strict: true });
  if (port === undefined) return refuse(node, context, `tcp of port ${node.words[3]}`, 3, hint);
  return isEnd(node, context, 4) ? { kind: "tcp", host, port } : undefined;
}

function readHttp(node: Statement, context: Context, url: string): BuiltinCheck | undefined {
  if (!/^https?:\/\/[^/?#\s]+/i.test(url)) {
    return refuse(node, context, `of the URL ${url}`, 2, "http://HOST[:PORT][/PATH] or https://…");
  }
  let status: number | undefined;
  let contains: string | undefined;
  for (let at = 3; at < node.words.length; at += 2) {
    const word = node.words[at]!;
    const value = node.words[at + 1];
    if (word !== "status" && word !== "contains") return void isEnd(node, context, at);
    if (value === undefined || value === "") {
      return refuse(node, context, `${word} of nothing`, at, "status N, contains TEXT");
    }
    if (word === "contains") contains = value;
    else {
      status = readInteger(node, at + 1, context, { min: 100, max: 599, strict: true });
      if (status === undefined) {
        return refuse(node, context, `of status ${value}`, at + 1, "a status, 100 to 599");
      }
    }
  }
  return {
    kind: "http",
    url,
    ...(status === undefined ? {} : { status }),
    ...(contains === undefined ? {} : { contains }),
  };
}

/** The words after `check`. */
function formatCheck(check: BuiltinCheck): string {
  switch (check.kind) {
    case "ping":
      return `ping ${quote(check.host)}`;
    case "tcp":
      return `tcp ${quote(check.host)} ${check.port}`;
    case "http": {
      const { url, status, contains } = check;
      return `http ${quote(url)}${status === undefined ? "" : ` status ${status}`}` +
        (contains === undefined ? "" : ` contains ${quote(contains)}`);
    }
  }
}
