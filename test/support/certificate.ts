/** Self-signed certificates, made by openssl(1) and gone with the test. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate and its key, as texts and as files. */
export interface Certificate extends Disposable {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate for `name` that is good for `days`. */
export function certificate(name: string, days: number): Certificate {
  const folder = mkdtempSync(join(tmpdir(), "upkeep-cert-"));
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} ` +
    `-addext subjectAltName=DNS:${name} -days ${days} -keyout ${keyFile} -out ${certFile}`;
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...words.split(" ")]);
  if (exitCode !== 0) throw new Error(`openssl: ${stderr.toString()}`);
  return {
    cert: readFileSync(certFile, "utf8"),
    key: readFileSync(keyFile, "utf8"),
    certFile,
    keyFile,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
