/** Mails by SMTP (RFC 5321), with the headers of keepalived's. */

import { createTransport } from "nodemailer";
import type { Alert, MailSettings } from "../parent/operate_channel.ts";
import type { Outcome } from "./deliveries.ts";

type Mail = Extract<Alert, { readonly type: "mail" }>;

/** Sends one mail. A server that refuses it for good (5xx) is not asked again. */
export async function sendMail(settings: MailSettings, mail: Mail): Promise<Outcome> {
  const { host, port, helo, from, to, timeoutUs } = settings;
  const timeout = timeoutUs / 1000;
  const transport = createTransport({
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
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to: [...to],
      subject: mail.subject,
      date: new Date(mail.at),
      xMailer: "Keepalived",
      text: `${mail.body}\r\n\r\n`,
    });
    return "delivered";
  } catch (error) {
    const { responseCode, message } = error as { responseCode?: number; message: string };
    const why = message.split("\n")[0]!;
    return responseCode !== undefined && responseCode >= 500 ? { refused: why } : { retry: why };
  } finally {
    transport.close();
  }
}
