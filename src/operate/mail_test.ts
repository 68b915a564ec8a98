/** What a mail looks like, byte for byte as keepalived 2.2.7 sends it but for the id. */

import { expect, test } from "bun:test";
import { messageOf } from "./mail.ts";

const AT = Date.UTC(2026, 10, 20, 17, 53, 13);

function message(subject: string, body: string): string {
  const mail = { type: "mail", subject, body, at: AT } as const;
  return messageOf(mail, "x@y.z", ["a@b.c", "Ops <o@b.c>"], "host");
}

test("lines as keepalived's, however long they are", () => {
  const subject = "[R] Realserver [127.0.0.1]:tcp:84 of virtual server [10.9.0.1]:tcp:80 - DOWN";
  const body = "=> CHECK failed on service : Could not connect to server [127.0.0.1]:84 <=";
  const text = message(subject, body);
  expect(text.replace(/^Message-ID: .*\r\n/m, "")).toBe(
    "Date: Fri, 20 Nov 2026 17:53:13 +0000\r\nFrom: x@y.z\r\n" +
      `Subject: ${subject}\r\nX-Mailer: Keepalived\r\nTo: a@b.c, Ops <o@b.c>\r\n\r\n` +
      `${body}\r\n\r\n`,
  );
  expect(text).toMatch(/^Message-ID: <\d+\.\w+@host>\r$/m);
  // The same again is the same mail.
  expect(message(subject, body)).toBe(text);
  expect(message(`${subject}!`, body)).not.toBe(text);
});

test("letters beyond ASCII are declared", () => {
  const text = message("[R] VRRP Instance Zürich - Entering MASTER state", "=> x <=");
  expect(text).toContain("Subject: [R] VRRP Instance Zürich - Entering MASTER state\r\n");
  expect(text).toContain("\r\nContent-Type: text/plain; charset=utf-8\r\n");
});
