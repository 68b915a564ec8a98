/** BFD_CHECK: a session of RFC 5880 that is Up. The vrrp role speaks; its news come through the parent. */

import { bad, GOOD, type Verdict } from "./talk.ts";

/** The verdict on a BFD session. */
export function judgeSession(isUp: boolean): Verdict {
  return isUp ? GOOD : bad("refused", "the BFD session is down");
}
