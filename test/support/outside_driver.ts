/** The process of {@link Outside}: both servers, a JSON line for all they receive. */

import { writeSync } from "node:fs";
import { SMTPServer } from "smtp-server";
import type { OutsideSettings, Received } from "./outside.ts";

const { mailsRefused = 0, postsRefused = 0, status = 503 } = JSON.parse(
  process.argv[2] ?? "{}",
) as OutsideSettings;

function tell(received: Received): void {
  writeSync(1, `${JSON.stringify(received)}\n`);
}

let refusedMails = 0;
const mail = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS", "AUTH"],
  onData(stream, session, done): void {
    const chunks: Uint8Array[] = [];
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    stream.on("end", () => {
      if (refusedMails++ < mailsRefused) {
        done(Object.assign(new Error("come back later"), { responseCode: 451 }));
        return;
      }
      const { mailFrom, rcptTo } = session.envelope;
      tell({
        type: "mail",
        helo: session.hostNameAppearsAs,
        from: mailFrom === false ? "" : mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        text: Buffer.concat(chunks).toString().replaceAll("\r\n", "\n"),
      });
      done();
    });
  },
});

let refusedPosts = 0;
const web = Bun.serve({
  port: 8080,
  hostname: "0.0.0.0",
  async fetch(request): Promise<Response> {
    const answer = refusedPosts++ < postsRefused ? status : 204;
    tell({
      type: "post",
      path: new URL(request.url).pathname,
      contentType: request.headers.get("content-type") ?? "",
      body: await request.json() as Record<string, unknown>,
      status: answer,
    });
    return new Response(null, { status: answer });
  },
});
mail.listen(2525, "0.0.0.0", () => tell({ type: "ready" }));
process.on("exit", () => void web.stop());
