/**
 * RFC 9568 §6.4 row by row: state, event, what differs from the usual router, and the outcome. The
 * words are explained in test/support/machine.ts. keepalived's differences have their own table in
 * src/vrrp/fsm_test.ts; notes to the operator, of which the RFC knows nothing, are left out here.
 */

import { test } from "bun:test";
import { rules } from "../support/machine.ts";

const TABLE = `
why    | in             | event                        | with                | to     | timer     | actions

Initialize
6.4.1  | INIT           | startup                      | owner               | MASTER | adv       | advert 255, add, announce 5
6.4.1  | INIT           | startup                      |                     | BACKUP | own       |
6.4.1  | INIT           | startup                      | priority 254        | BACKUP | +3.007812 |
6.4.1  | INIT           | startup                      | priority 1          | BACKUP | +3.996093 |
6.4.1  | INIT           | startup                      | interval 0.01       | BACKUP | +0.036093 |
6.4.1  | INIT           | startup                      | nopreempt           | BACKUP | own       |
6.4.1  | INIT           | shutdown                     |                     | INIT   | never     |
6.4.1  | INIT           | timer                        |                     | INIT   | never     |
6.4.1  | INIT           | advert 255                   |                     | INIT   | never     |
6.4.1  | INIT           | advert 0                     |                     | INIT   | never     |

Backup: start, stop and the end of Active_Down_Timer
6.4.2  | BACKUP         | startup                      |                     | BACKUP | kept      |
6.4.2  | BACKUP         | shutdown                     |                     | INIT   | never     |
6.4.2  | BACKUP         | timer                        |                     | MASTER | adv       | advert 100, add, announce 5
6.4.2  | BACKUP         | timer                        | nopreempt           | MASTER | adv       | advert 100, add, announce 5
6.4.2  | BACKUP         | early timer                  |                     | BACKUP | kept      |
6.4.2  | BACKUP leaving | timer                        |                     | MASTER | adv       | advert 100, add, announce 5
6.4.2  | BACKUP learned | early timer                  |                     | BACKUP | kept      |

Backup: priority 0 sets Active_Down_Timer to Skew_Time, that of Active_Adver_Interval
6.4.2  | BACKUP         | advert 0                     |                     | BACKUP | skew      |
6.4.2  | BACKUP learned | advert 0                     |                     | BACKUP | +1.218750 |
6.4.2  | BACKUP         | advert 0                     | nopreempt           | BACKUP | skew      |
6.4.2  | BACKUP leaving | advert 0                     |                     | BACKUP | skew      |
6.4.2  | BACKUP         | advert 0                     | priority 255        | BACKUP | +0.003906 |

Backup: as good or better, or Preempt_Mode false: learn the interval and wait anew
6.4.2  | BACKUP         | advert 101                   |                     | BACKUP | peer      |
6.4.2  | BACKUP         | advert 100                   |                     | BACKUP | peer      |
6.4.2  | BACKUP         | advert 100 from 1            |                     | BACKUP | peer      |
6.4.2  | BACKUP         | advert 255                   |                     | BACKUP | peer      |
6.4.2  | BACKUP         | advert 255                   | priority 255        | BACKUP | +6.007812 |
6.4.2  | BACKUP         | advert 99                    | nopreempt           | BACKUP | peer      |
6.4.2  | BACKUP         | advert 1                     | nopreempt           | BACKUP | peer      |
6.4.2  | BACKUP         | advert 101                   | nopreempt           | BACKUP | peer      |
6.4.2  | BACKUP         | advert 101 every 0.01        |                     | BACKUP | +0.036093 |
6.4.2  | BACKUP         | advert 101 every 40.95       |                     | BACKUP | +147.803906 |
6.4.2  | BACKUP learned | advert 101 every 1           |                     | BACKUP | own       |
6.4.2  | BACKUP leaving | advert 100                   |                     | BACKUP | peer      |

Backup: worse, and Preempt_Mode true: discard
6.4.2  | BACKUP         | advert 99                    |                     | BACKUP | kept      |
6.4.2  | BACKUP         | advert 99 from 1             |                     | BACKUP | kept      |
6.4.2  | BACKUP         | advert 1                     |                     | BACKUP | kept      |
6.4.2  | BACKUP         | advert 254                   | priority 255        | BACKUP | kept      |
6.4.2  | BACKUP learned | advert 99                    |                     | BACKUP | kept      |
6.4.2  | BACKUP leaving | advert 99                    |                     | BACKUP | kept      |

Active: start, stop and the end of Adver_Timer
6.4.3  | MASTER         | startup                      |                     | MASTER | kept      |
6.4.3  | MASTER         | shutdown                     |                     | INIT   | never     | advert 0, remove
6.4.3  | MASTER         | timer                        |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | timer                        | owner               | MASTER | adv       | advert 255
6.4.3  | MASTER         | early timer                  |                     | MASTER | kept      |

Active: priority 0 is answered at once
6.4.3  | MASTER         | advert 0                     |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 0 from 1              | nopreempt           | MASTER | adv       | advert 100

Active: a better one, or an equal one with a greater address, takes over
6.4.3  | MASTER         | advert 101                   |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 101 from 1            |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 101                   | nopreempt           | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 255                   |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from 9            |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from 6            |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from 200          |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from 200.0.0.1    |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from 192.0.3.1    |                     | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100                   | v6                  | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 100 from fe80:0:1::1  | v6                  | BACKUP | peer      | remove
6.4.3  | MASTER         | advert 255                   | owner               | BACKUP | +6.007812 | remove
6.4.3  | MASTER         | advert 101 every 0.01        |                     | BACKUP | +0.036093 | remove

Active: any other is answered at once. The RFC is silent on Adver_Timer; keepalived sets it anew.
6.4.3  | MASTER         | advert 99                    |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 1                     | nopreempt           | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 100 from 1            |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 100 from 4            |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 100 from 192.0.1.200  |                     | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 100 from 1            | v6                  | MASTER | adv       | advert 100
6.4.3  | MASTER         | advert 254                   | owner               | MASTER | adv       | advert 255
6.4.3  | MASTER         | advert 255 from 1            | owner               | MASTER | adv       | advert 255
`;

for (const { name, check } of rules(TABLE, "without notes")) test(name, check);
