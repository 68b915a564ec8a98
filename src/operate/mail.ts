/**
 * Mails by SMTP (RFC 5321). The message is written here, so that its lines are keepalived's, whose filters
 * look for them: a library would fold a long subject and encode a long line. RFC 5322, with UTF-8 as it is
 * (RFC 6532) where names hold it.
 */

import addressparser from "nodemailer/lib/addressparser";
import SMTPConnection, { type SMTPError } from "nodemailer/lib/smtp-connection";
import type { Alert, MailSettings } from "../parent/operate_channel.ts";
import type { Outcome } from "./deliveries.ts";

type Mail = Extract<Alert, { readonly type: "mail" }>;

/** Sends one mail. A server that refuses it for good (5xx) is not asked again. */
export async function sendMail(settings: MailSettings, mail: Mail): Promise<Outcome> {
  const connection = connectionOf(settings);
  try {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    connection.on("error", reject);
    // What is said once it is over is nobody's business.
    failed.catch(() => {});
    await Promise.race([failed, converse(connection, settings, mail)]);
    return "delivered";
  } catch (error) {
    connection.close();
    const { responseCode, message } = error as SMTPError;
    const why = message.split("\n")[0]!;
    return responseCode !== undefined && responseCode >= 500 ? { refused: why } : { retry: why };
  }
}

function connectionOf({ host, port, helo, timeoutUs }: MailSettings): SMTPConnection {
  const timeout = timeoutUs / 1000;
  return new SMTPConnection({
    host,
    port,
    name: helo,
    secure: false,
    // A relay that offers encryption gets it, whoever has signed its certificate: the alternative is none.
    tls: { rejectUnauthorized: false },
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    dnsTimeout: timeout,
  });
}

/** Resolves when the server has taken the mail; rejects with what it says otherwise. */
async function converse(
  connection: SMTPConnection,
  { from, to, helo }: MailSettings,
  mail: Mail,
): Promise<void> {
  const { promise: connected, resolve: onConnected, reject: onRefused } = Promise.withResolvers();
  connection.on("end", () => onRefused(new Error("the connection was closed")));
  connection.connect((error) => error ? onRefused(error) : onConnected(undefined));
  await connected;
  const { promise: sent, resolve: onSent, reject: onFailed } = Promise.withResolvers();
  connection.on("end", () => onFailed(new Error("the connection was closed")));
  const text = messageOf(mail, from, to, helo);
  const use8BitMime = !isAscii(text);
  const envelope = { from: addressIn(from), to: to.map(addressIn), use8BitMime };
  connection.send(envelope, text, (error, info) => error ? onFailed(error) : onSent(info));
  await sent;
  connection.quit();
}

function addressIn(text: string): string {
  return addressparser(text, { flatten: true })[0]?.address ?? text;
}

/** The message: keepalived's headers in its order, and an id, since a mail may be sent twice. */
export function messageOf(
  { subject, body, at }: Mail,
  from: string,
  to: readonly string[],
  host: string,
): string {
  const text = `${body}\r\n`;
  const id = Bun.hash(`${subject}\n${body}`).toString(36);
  const headers = [
    `Date: ${dateOf(new Date(at))}`,
    `From: ${from}`,
    `Subject: ${subject}`,
    "X-Mailer: Keepalived",
    `To: ${to.join(", ")}`,
    `Message-ID: <${at}.${id}@${host}>`,
    ...(isAscii(subject + text) ? [] : [
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 8bit",
    ]),
  ];
  return `${headers.join("\r\n")}\r\n\r\n${text}\r\n`;
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** RFC 5322 §3.3, in UTC. */
function dateOf(date: Date): string {
  return date.toUTCString().replace("GMT", "+0000");
}
