/**
 * What the VRRP machine does beyond RFC 9568 §6.4 (whose rows are in test/conformance): keepalived's
 * differences row by row, then stories in which rows follow each other, then properties that hold
 * after any step. The words of the tables are explained in test/support/machine.ts.
 */

import { describe, expect, test } from "bun:test";
import { freeze, routerWith, rules, story } from "../../test/support/machine.ts";
import { type Prng, prng } from "../../test/support/prng.ts";
import { step } from "./fsm.ts";
import { gridPoint } from "./fsm_master.ts";
import type { Event, State, VirtualRouter } from "./state.ts";
import { activeDownIntervalUs, deadline, skewTimeUs } from "./timers.ts";

const RULES = `
why        | in             | event                     | with                   | to     | timer      | actions

Start: only an owner with state MASTER skips BACKUP
start      | INIT           | startup                   | priority 255           | BACKUP | +3.003906  |
start      | INIT           | startup                   | state MASTER           | BACKUP | own        |
start      | INIT           | startup                   | state MASTER, priority 254 | BACKUP | +3.007812 |
start      | INIT           | startup                   | owner, nopreempt       | MASTER | adv        | advert 255, add, announce 5
start      | INIT           | fault                     |                        | FAULT  | never      |
start      | INIT           | fault                     | owner                  | FAULT  | never      |
start      | INIT           | recovery                  |                        | INIT   | never      |

Adoption: the peers hear the next advert of a MASTER they never missed
adoption   | INIT           | adoption                  |                        | MASTER | adv        | advert 100, add
adoption   | INIT           | adoption                  | garp 5+0.3             | MASTER | +0.3       | advert 100, add
adoption   | FAULT          | adoption                  |                        | FAULT  | never      |
adoption   | BACKUP         | adoption                  |                        | BACKUP | kept       |
adoption   | MASTER         | adoption                  |                        | MASTER | kept       |

FAULT: deaf until recovery; an owner with state MASTER then waits one interval and its skew
fault      | BACKUP         | fault                     |                        | FAULT  | never      |
fault      | BACKUP leaving | fault                     |                        | FAULT  | never      |
fault      | MASTER         | fault                     |                        | FAULT  | never      | advert 0, remove
fault      | MASTER         | fault                     | owner                  | FAULT  | never      | advert 0, remove
fault      | FAULT          | fault                     |                        | FAULT  | never      |
fault      | FAULT          | startup                   | owner                  | FAULT  | never      |
fault      | FAULT          | timer                     |                        | FAULT  | never      |
fault      | FAULT          | advert 0                  |                        | FAULT  | never      |
fault      | FAULT          | advert 99                 |                        | FAULT  | never      |
fault      | FAULT          | advert 255                |                        | FAULT  | never      |
fault      | FAULT          | shutdown                  |                        | INIT   | never      |
recovery   | FAULT          | recovery                  |                        | BACKUP | own        |
recovery   | FAULT          | recovery                  | owner                  | BACKUP | +1.003906  |
recovery   | FAULT          | recovery                  | owner, v2, interval 3  | BACKUP | +3.003906  |
recovery   | FAULT          | recovery                  | priority 255           | BACKUP | +3.003906  |
recovery   | FAULT          | recovery                  | state MASTER           | BACKUP | own        |
recovery   | BACKUP         | recovery                  |                        | BACKUP | kept       |
recovery   | MASTER         | recovery                  |                        | MASTER | kept       |

Version 2: skew in fractions of a second, no interval learned
v2         | INIT           | startup                   | v2                     | BACKUP | own        |
v2         | INIT           | startup                   | v2, interval 3         | BACKUP | +9.609375  |
v2         | INIT           | startup                   | interval 3             | BACKUP | +10.828125 |
v2         | BACKUP         | advert 0                  | v2, interval 3         | BACKUP | +0.609375  | note priority-zero-as-backup 0 from 9
v2         | BACKUP         | advert 0                  | interval 3             | BACKUP | +1.828125  | note priority-zero-as-backup 0 from 9
v2         | BACKUP         | advert 101                | v2                     | BACKUP | own        |
v2         | BACKUP         | advert 99                 | v2, nopreempt          | BACKUP | own        |
v2         | BACKUP         | advert 99                 | v2                     | BACKUP | kept       | note lower-priority-discarded 99 from 9
v2         | BACKUP         | timer                     | v2                     | MASTER | adv        | note timeout 100 from 5, advert 100, add, announce 5
v2         | MASTER         | advert 101                | v2                     | BACKUP | own        | note higher-priority 101 from 9, remove

Notes: the operator learns what was noticed, from whom
notes      | BACKUP         | timer                     |                        | MASTER | adv        | note timeout 100 from 5, advert 100, add, announce 5
notes      | BACKUP         | advert 0                  |                        | BACKUP | skew       | note priority-zero-as-backup 0 from 9
notes      | BACKUP         | advert 99 from 7          |                        | BACKUP | kept       | note lower-priority-discarded 99 from 7
notes      | BACKUP         | advert 101                |                        | BACKUP | peer       | note interval-learned 101 from 9
notes      | BACKUP         | advert 101 every 1        |                        | BACKUP | own        |
notes      | BACKUP learned | advert 101                |                        | BACKUP | peer       |
notes      | BACKUP learned | advert 101 every 1        |                        | BACKUP | own        | note interval-learned 101 from 9
notes      | MASTER         | advert 0                  |                        | MASTER | adv        | note priority-zero-as-master 0 from 9, advert 100
notes      | MASTER         | advert 101                |                        | BACKUP | peer       | note higher-priority 101 from 9, remove
notes      | MASTER         | advert 101 from 5         |                        | BACKUP | peer       | note higher-priority 101 from 5, remove
notes      | MASTER         | advert 100                |                        | BACKUP | peer       | note same-priority-higher-address 100 from 9, remove
notes      | MASTER         | advert 99                 |                        | MASTER | adv        | note lower-priority-asserted 99 from 9, advert 100
notes      | MASTER         | advert 100 from 1         |                        | MASTER | adv        | note lower-priority-asserted 100 from 1, advert 100

Our own priority from our own address: a warning only
same       | MASTER         | advert 100 from 5         |                        | MASTER | kept       | note same-priority-same-address 100 from 5
same       | MASTER         | advert 255 from 5         | owner                  | MASTER | kept       | note same-priority-same-address 255 from 5
same       | MASTER         | advert 100 from 5         | v6                     | MASTER | kept       | note same-priority-same-address 100 from 5
same       | BACKUP         | advert 100 from 5 every 1 |                        | BACKUP | own        |

Bursts: after the answer to a lower priority, and the delayed one
garp       | INIT           | startup                   | owner, garp 3+0        | MASTER | adv        | advert 255, add, announce 3
garp       | INIT           | startup                   | owner, garp 3+0.25     | MASTER | +0.25      | advert 255, add, announce 3
garp       | INIT           | startup                   | owner, refresh 2+0.5   | MASTER | +0.5       | advert 255, add, announce 5
garp       | INIT           | startup                   | owner, garp 3+0.25, refresh 2+0.1 | MASTER | +0.25 | advert 255, add, announce 3
garp       | MASTER         | advert 99                 | lower 3+0              | MASTER | adv        | note lower-priority-asserted 99 from 9, advert 100, announce 3
garp       | MASTER         | advert 99                 | lower 3+0.2            | MASTER | +0.2       | note lower-priority-asserted 99 from 9, advert 100, announce 3
garp       | MASTER         | advert 99                 | lower 0+0.2            | MASTER | adv        | note lower-priority-asserted 99 from 9, advert 100
garp       | MASTER         | advert 0                  | lower 3+0.2            | MASTER | adv        | note priority-zero-as-master 0 from 9, advert 100
garp       | MASTER         | advert 100 from 5         | lower 3+0.2            | MASTER | kept       | note same-priority-same-address 100 from 5

down_timer_adverts: how many adverts may be lost
down       | INIT           | startup                   | down_timer_adverts 1   | BACKUP | +1.609375  |
down       | BACKUP         | advert 101                | down_timer_adverts 5   | BACKUP | +11.218750 | note interval-learned 101 from 9
down       | BACKUP         | advert 0                  | down_timer_adverts 5   | BACKUP | skew       | note priority-zero-as-backup 0 from 9
down       | FAULT          | recovery                  | owner, down_timer_adverts 10 | BACKUP | +1.003906 |
down       | MASTER         | advert 101                | v2, down_timer_adverts 2 | BACKUP | +2.609375 | note higher-priority 101 from 9, remove

lower_prio_no_advert, higher_prio_send_advert
answers    | MASTER         | advert 99                 | lower_prio_no_advert   | MASTER | kept       | note lower-priority-asserted 99 from 9
answers    | MASTER         | advert 99                 | lower_prio_no_advert, lower 3+0.2 | MASTER | +0.2 | note lower-priority-asserted 99 from 9, announce 3
answers    | MASTER         | advert 0                  | lower_prio_no_advert   | MASTER | adv        | note priority-zero-as-master 0 from 9, advert 100
answers    | MASTER         | advert 101                | higher_prio_send_advert | BACKUP | peer      | note higher-priority 101 from 9, advert 100, remove
answers    | MASTER         | advert 100                | higher_prio_send_advert | BACKUP | peer      | note same-priority-higher-address 100 from 9, advert 100, remove
answers    | MASTER         | fault                     | higher_prio_send_advert | FAULT | never      | advert 0, remove

An owner that was lowered waits as an owner does, but only another owner keeps it waiting
lowered    | BACKUP lowered | advert 254 every 1        | priority 255           | BACKUP | kept       | note lower-priority-discarded 254 from 9
lowered    | BACKUP lowered | advert 255 every 1        | priority 255           | BACKUP | +3.003906  |
lowered    | BACKUP lowered | advert 0                  | priority 255           | BACKUP | +0.003906  | note priority-zero-as-backup 0 from 9
lowered    | BACKUP         | advert 254 every 1        | priority 255           | BACKUP | kept       | note lower-priority-discarded 254 from 9
lowered    | BACKUP lowered | fault                     | priority 255           | FAULT  | never      |

A reload that the peers should know of
reload     | MASTER         | reconfiguration           |                        | MASTER | adv        | advert 100
reload     | BACKUP         | reconfiguration           |                        | BACKUP | kept       |
reload     | FAULT          | reconfiguration           |                        | FAULT  | never      |
reload     | INIT           | reconfiguration           |                        | INIT   | never      |

preempt_delay: the first lower advert starts it; at most as good is never delayed
delay      | BACKUP         | advert 99                 | delay 10               | BACKUP | peer       | note preempt-delay 99 from 9, note interval-learned 99 from 9
delay      | BACKUP         | advert 99                 | delay 10, v2           | BACKUP | own        | note preempt-delay 99 from 9
delay      | BACKUP         | advert 100                | delay 10               | BACKUP | peer       | note interval-learned 100 from 9
`;

describe("keepalived's differences", () => {
  for (const { name, check } of rules(RULES, "with notes")) test(name, check);
});

describe("stories", () => {
  test("preempt_delay runs from the first lower advert; then the next one is not obeyed", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | delay 10 | BACKUP | 3.609375  |
1         | advert 99 every 1  |          | BACKUP | 4.609375  | note preempt-delay 99 from 9
4         | advert 99 every 1  |          | BACKUP | 7.609375  |
7         | advert 98 every 1  |          | BACKUP | 10.609375 |
10.999999 | advert 99 every 1  |          | BACKUP | 14.609374 |
11        | advert 99 every 1  |          | BACKUP | 14.609374 | note lower-priority-discarded 99 from 9
12        | advert 99 every 1  |          | BACKUP | 14.609374 | note lower-priority-discarded 99 from 9
14.609374 | timer              |          | MASTER | 15.609374 | note timeout 100 from 5, advert 100, add, announce 5
`));

  test("an advert that is not lower cancels preempt_delay", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | delay 10 | BACKUP | 3.609375  |
1         | advert 99 every 1  |          | BACKUP | 4.609375  | note preempt-delay 99 from 9
2         | advert 100 every 1 |          | BACKUP | 5.609375  |
5         | advert 99 every 1  |          | BACKUP | 8.609375  | note preempt-delay 99 from 9
8         | advert 101 every 1 |          | BACKUP | 11.609375 |
11        | advert 99 every 1  |          | BACKUP | 14.609375 | note preempt-delay 99 from 9
14        | advert 99 every 1  |          | BACKUP | 17.609375 |
17        | advert 99 every 1  |          | BACKUP | 20.609375 |
20        | advert 99 every 1  |          | BACKUP | 23.609375 |
21        | advert 99 every 1  |          | BACKUP | 23.609375 | note lower-priority-discarded 99 from 9
`));

  test("preempt_delay does not hold up the end of a MASTER, and a goodbye does not end it", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | delay 10 | BACKUP | 3.609375  |
1         | advert 99 every 1  |          | BACKUP | 4.609375  | note preempt-delay 99 from 9
2         | advert 0 every 1   |          | BACKUP | 2.609375  | note priority-zero-as-backup 0 from 9
2.5       | advert 98 every 1  |          | BACKUP | 6.109375  |
6.109375  | timer              |          | MASTER | 7.109375  | note timeout 100 from 5, advert 100, add, announce 5
6.5       | advert 101 every 1 |          | BACKUP | 10.109375 | note higher-priority 101 from 9, remove
7         | advert 99 every 1  |          | BACKUP | 10.609375 | note preempt-delay 99 from 9
17        | advert 99 every 1  |          | BACKUP | 10.609375 | note lower-priority-discarded 99 from 9
`));

  test("a new preempt_delay starts after every term as MASTER and every FAULT", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | delay 3  | BACKUP | 3.609375  |
1         | advert 99 every 1  |          | BACKUP | 4.609375  | note preempt-delay 99 from 9
2         | fault              |          | FAULT  | never     |
3         | recovery           |          | BACKUP | 6.609375  |
6         | advert 99 every 1  |          | BACKUP | 9.609375  | note preempt-delay 99 from 9
8         | advert 99 every 1  |          | BACKUP | 11.609375 |
9         | advert 99 every 1  |          | BACKUP | 11.609375 | note lower-priority-discarded 99 from 9
`));

  test("after priority 0 we wait for the skew, unless another MASTER turns up", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            |          | BACKUP | 3.609375  |
1         | advert 101         |          | BACKUP | 8.218750  | note interval-learned 101 from 9
2         | advert 0           |          | BACKUP | 3.218750  | note priority-zero-as-backup 0 from 9
2.5       | advert 99          |          | BACKUP | 3.218750  | note lower-priority-discarded 99 from 9
3         | advert 0           |          | BACKUP | 4.218750  | note priority-zero-as-backup 0 from 9
3.5       | advert 101         |          | BACKUP | 10.718750 |
10.718749 | timer              |          | BACKUP | 10.718750 |
10.718750 | timer              |          | MASTER | 11.718750 | note timeout 100 from 5, advert 100, add, announce 5
`));

  test("the learned interval is the MASTER's: forgotten in FAULT and never used for our own", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            |          | BACKUP | 3.609375  |
1         | advert 101         |          | BACKUP | 8.218750  | note interval-learned 101 from 9
8.218750  | timer              |          | MASTER | 9.218750  | note timeout 100 from 5, advert 100, add, announce 5
9.218750  | timer              |          | MASTER | 10.210000 | advert 100
9.5       | advert 101         |          | BACKUP | 16.718750 | note higher-priority 101 from 9, remove
10        | fault              |          | FAULT  | never     |
11        | recovery           |          | BACKUP | 14.609375 |
`));

  test("the first interval is exact, the next one ends on the grid, and all others are exact, however late the timer fires", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0.003400  | startup            | owner    | MASTER | 1.003400  | advert 255, add, announce 5
1.003400  | timer              |          | MASTER | 2         | advert 255
2.000700  | timer              |          | MASTER | 3         | advert 255
3.4       | timer              |          | MASTER | 4         | advert 255
4         | timer              |          | MASTER | 5         | advert 255
4.123456  | advert 99          |          | MASTER | 5.123456  | note lower-priority-asserted 99 from 9, advert 255
5.123456  | timer              |          | MASTER | 6.12      | advert 255
5.999     | advert 0           |          | MASTER | 6.999     | note priority-zero-as-master 0 from 9, advert 255
6.999     | timer              |          | MASTER | 7.99      | advert 255
7.99      | timer              |          | MASTER | 8.99      | advert 255
`));

  test("the grid is finer for short intervals", () =>
    story(`
at        | event              | with                 | to     | timer     | actions
0.123456  | startup            | owner, interval 0.01 | MASTER | 0.133456  | advert 255, add, announce 5
0.133456  | timer              |                      | MASTER | 0.143400  | advert 255
0.143410  | timer              |                      | MASTER | 0.153400  | advert 255
`));

  test("adverts missed in a stall are not made up for", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | owner    | MASTER | 1         | advert 255, add, announce 5
2.3       | timer              |          | MASTER | 3         | advert 255
3         | timer              |          | MASTER | 4         | advert 255
6         | timer              |          | MASTER | 7         | advert 255
`));

  test("a second burst, then refreshing ones, none of which moves an advert", () =>
    story(`
at        | event              | with                            | to     | timer | actions
0         | startup            | owner, garp 5+2.5, refresh 2+1.5 | MASTER | 1     | advert 255, add, announce 5
1         | timer              |                                 | MASTER | 2     | advert 255
2         | timer              |                                 | MASTER | 2.5   | advert 255
2.5       | timer              |                                 | MASTER | 3     | announce 5
3         | timer              |                                 | MASTER | 4     | advert 255
4         | timer              |                                 | MASTER | 5     | advert 255, announce 2
5         | timer              |                                 | MASTER | 5.5   | advert 255
5.5       | timer              |                                 | MASTER | 6     | announce 2
`));

  test("one second burst, and no more without refresh", () =>
    story(`
at        | event              | with           | to     | timer | actions
0         | startup            | owner, garp 5+1 | MASTER | 1     | advert 255, add, announce 5
1         | timer              |                | MASTER | 2     | advert 255, announce 5
2         | timer              |                | MASTER | 3     | advert 255
3         | fault              |                | FAULT  | never | advert 0, remove
4         | timer              |                | FAULT  | never |
`));

  test("a lower MASTER earns a delayed burst; more of its adverts do not put it off", () =>
    story(`
at        | event              | with              | to     | timer | actions
0         | startup            | owner, lower 3+1.5 | MASTER | 1     | advert 255, add, announce 5
0.4       | advert 99          |                   | MASTER | 1.4   | note lower-priority-asserted 99 from 9, advert 255, announce 3
1.2       | advert 99          |                   | MASTER | 1.9   | note lower-priority-asserted 99 from 9, advert 255, announce 3
1.9       | timer              |                   | MASTER | 2.2   | announce 3
2.2       | timer              |                   | MASTER | 3.2   | advert 255
3.2       | timer              |                   | MASTER | 4.2   | advert 255
`));

  test("a reload is another router: the deadline of BACKUP follows interval and priority", () =>
    story(`
at        | event              | with         | to     | timer     | actions
0         | startup            |              | BACKUP | 3.609375  |
1         | reload             | priority 200 | BACKUP | 3.218750  |
1         | reload             | interval 2   | BACKUP | 7.218750  |
1         | reload             | v2           | BACKUP | 3.609375  |
2         | advert 101         |              | BACKUP | 5.609375  |
2         | reload             | nopreempt    | BACKUP | 5.609375  |
3         | advert 99          |              | BACKUP | 10.218750 | note interval-learned 99 from 9
3         | reload             | interval 5   | BACKUP | 10.218750 |
3         | reload             | priority 200 | BACKUP | 9.437500  |
4         | advert 199         |              | BACKUP | 9.437500  | note lower-priority-discarded 199 from 9
9.4375    | timer              |              | MASTER | 10.4375   | note timeout 200 from 5, advert 200, add, announce 5
`));

  test("a reload of a MASTER: an advert at once, the next one a new interval later, aligned anew", () =>
    story(`
at        | event              | with          | to     | timer     | actions
0         | startup            | owner         | MASTER | 1         | advert 255, add, announce 5
0.75      | reload             | interval 2    | MASTER | 2         |
0.75      | reload             | interval 0.01 | MASTER | 0.01      |
0.7555    | reconfiguration    |               | MASTER | 0.7655    | advert 100
0.7655    | timer              |               | MASTER | 0.7755    | advert 100
0.77      | reload             | priority 90   | MASTER | 1.7655    |
0.7723    | reconfiguration    |               | MASTER | 1.7723    | advert 90
1.7723    | timer              |               | MASTER | 2.77      | advert 90
2.77      | timer              |               | MASTER | 3.77      | advert 90
2.95      | advert 91          |               | BACKUP | 10.246875 | note higher-priority 91 from 9, remove
`));

  test("a stall longer than the peers' patience: note, advert, announcements and a second burst", () =>
    story(`
at        | event              | with          | to     | timer     | actions
0         | startup            | owner, garp 5+2 | MASTER | 1       | advert 255, add, announce 5
1         | timer              |               | MASTER | 2         | advert 255
2         | timer              |               | MASTER | 3         | advert 255, announce 5
3         | timer              |               | MASTER | 4         | advert 255
6.003906  | timer              |               | MASTER | 7         | advert 255
10.0079   | timer              |               | MASTER | 11        | note stalled 255 from 5, advert 255, announce 5
11        | timer              |               | MASTER | 12        | advert 255
12        | timer              |               | MASTER | 12.0079   | advert 255
12.0079   | timer              |               | MASTER | 13        | announce 5
3600.9    | timer              |               | MASTER | 3601      | note stalled 255 from 5, advert 255, announce 5
`));

  test("a stall while somebody took over: a worse one is answered and announced over, a better one wins", () =>
    story(`
at        | event              | with          | to     | timer     | actions
0         | startup            | owner, garp 5+9 | MASTER | 1       | advert 255, add, announce 5
3.5       | advert 99          |               | MASTER | 4.5       | note lower-priority-asserted 99 from 9, note stalled 255 from 5, advert 255, announce 5
4.5       | advert 99          |               | MASTER | 5.5       | note lower-priority-asserted 99 from 9, advert 255
9         | reload             | lower_prio_no_advert | MASTER | 5.5 |
9         | advert 99          |               | MASTER | 5.5       | note lower-priority-asserted 99 from 9, note stalled 100 from 5, announce 5
9         | timer              |               | MASTER | 9.5       | note stalled 100 from 5, advert 100, announce 5
15        | advert 101         |               | BACKUP | 22.218750 | note higher-priority 101 from 9, remove
`));

  test("a stall that a lower advert reveals: the second burst is due anew", () =>
    story(`
at        | event              | with            | to     | timer | actions
0         | startup            | owner, garp 5+2 | MASTER | 1     | advert 255, add, announce 5
1         | timer              |                 | MASTER | 2     | advert 255
2         | timer              |                 | MASTER | 3     | advert 255, announce 5
6.5       | advert 99          |                 | MASTER | 7.5   | note lower-priority-asserted 99 from 9, note stalled 255 from 5, advert 255, announce 5
7.5       | timer              |                 | MASTER | 8.5   | advert 255
8.5       | timer              |                 | MASTER | 9.5   | advert 255, announce 5
9.5       | timer              |                 | MASTER | 10.5  | advert 255
`));

  test("timer_expired_backup: a router that may have been replaced gives way, if it does not preempt", () =>
    story(`
at        | event              | with          | to     | timer     | actions
0         | startup            | owner         | MASTER | 1         | advert 255, add, announce 5
1         | reload             | timer_expired_backup 254, nopreempt | MASTER | 1 |
1         | timer              |               | MASTER | 2         | advert 100
4.0078    | timer              |               | MASTER | 5         | advert 100
8.0157    | timer              |               | BACKUP | 11.625075 | note timer-expired 100 from 5, remove
11.625075 | timer              |               | MASTER | 12.625075 | note timeout 100 from 5, advert 100, add, announce 5
12        | reload             | timer_expired_backup 254 | MASTER | 12.625075 |
20        | timer              |               | MASTER | 20.62     | note stalled 100 from 5, advert 100, announce 5
`));

  test("two owners: the one with the greater address bears it for 3.2 intervals, then counts as 254", () =>
    story(`
at        | event              | with     | to     | timer     | actions
0         | startup            | owner    | MASTER | 1         | advert 255, add, announce 5
0.5       | advert 255 from 1 every 1 |   | MASTER | 1.5       | note lower-priority-asserted 255 from 1, advert 255
1.5       | timer              |          | MASTER | 2.5       | advert 255
1.6       | advert 255 from 1 every 1 |   | MASTER | 2.6       | note lower-priority-asserted 255 from 1, advert 255
2.6       | advert 255 from 1 every 1 |   | MASTER | 3.6       | note lower-priority-asserted 255 from 1, advert 255
3         | advert 99 every 1  |          | MASTER | 4         | note lower-priority-asserted 99 from 9, advert 255
3.6       | advert 255 from 1 every 1 |   | MASTER | 4.6       | note lower-priority-asserted 255 from 1, advert 255
3.8       | advert 255 from 1 every 1 |   | BACKUP | 6.803906  | note owner-lowered 255 from 1, remove
4.8       | advert 255 from 1 every 1 |   | BACKUP | 7.803906  |
5         | advert 254 every 1 |          | BACKUP | 7.803906  | note lower-priority-discarded 254 from 9
7.803906  | timer              |          | MASTER | 8.803906  | note timeout 255 from 5, note owner-restored 255 from 5, advert 255, add, announce 5
8.5       | advert 255 from 1 every 1 |   | MASTER | 9.5       | note lower-priority-asserted 255 from 1, advert 255
9.5       | timer              |          | MASTER | 10.5      | advert 255
10.5      | timer              |          | MASTER | 11.5      | advert 255
11.5      | timer              |          | MASTER | 12.5      | advert 255
12.4      | advert 255 from 1 every 1 |   | MASTER | 13.4      | note lower-priority-asserted 255 from 1, advert 255
13        | advert 255 from 9 every 1 |   | BACKUP | 16.003906 | note same-priority-higher-address 255 from 9, remove
`));

  test("a life: start, take over, give way, fall ill, recover, take over, stop, start", () =>
    story(`
at        | event              | with | to     | timer     | actions
0         | startup            |      | BACKUP | 3.609375  |
3.609375  | timer              |      | MASTER | 4.609375  | note timeout 100 from 5, advert 100, add, announce 5
4.609375  | timer              |      | MASTER | 5.6       | advert 100
5         | advert 101 every 1 |      | BACKUP | 8.609375  | note higher-priority 101 from 9, remove
6         | fault              |      | FAULT  | never     |
7         | advert 101 every 1 |      | FAULT  | never     |
8         | recovery           |      | BACKUP | 11.609375 |
11.609375 | timer              |      | MASTER | 12.609375 | note timeout 100 from 5, advert 100, add, announce 5
12        | shutdown           |      | INIT   | never     | advert 0, remove
13        | startup            |      | BACKUP | 16.609375 |
`));
});

describe("figures", () => {
  // Priority, version, interval; then Skew_Time and Active_Down_Interval, rounded down.
  const figures = [
    [100, 2, 1_000_000, 609_375, 3_609_375],
    [100, 3, 1_000_000, 609_375, 3_609_375],
    [100, 3, 100_000, 60_937, 360_937],
    [100, 3, 20_000, 12_187, 72_187],
    [100, 3, 10_000, 6_093, 36_093],
    [100, 2, 3_000_000, 609_375, 9_609_375],
    [100, 3, 3_000_000, 1_828_125, 10_828_125],
    [100, 2, 255_000_000, 609_375, 765_609_375],
    [100, 3, 40_950_000, 24_953_906, 147_803_906],
    [1, 2, 1_000_000, 996_093, 3_996_093],
    [254, 2, 1_000_000, 7_812, 3_007_812],
    [255, 2, 1_000_000, 3_906, 3_003_906],
    [255, 3, 10_000, 39, 30_039],
    [1, 3, 10_000, 9_960, 39_960],
  ] as const;

  test.each(figures)(
    "priority %i, version %i, every %i µs",
    (priority, version, us, skewUs, downUs) => {
      const router = { ...routerWith(""), priority, version };
      expect(skewTimeUs(router, us)).toBe(skewUs);
      expect(activeDownIntervalUs(router, us)).toBe(downUs);
    },
  );

  test("a better BACKUP always waits less", () => {
    for (const version of [2, 3] as const) {
      for (const us of [10_000, 1_000_000, 40_950_000]) {
        const waits = Array.from(
          { length: 255 },
          (_, i) => activeDownIntervalUs({ ...routerWith(""), version, priority: i + 1 }, us),
        );
        for (let i = 1; i < waits.length; i++) expect(waits[i]).toBeLessThan(waits[i - 1]!);
        expect(waits.at(-1)).toBeGreaterThan(3 * us);
        expect(waits[0]).toBeLessThan(4 * Math.max(us, 1_000_000));
      }
    }
  });

  test("a grid point is at most one step back: a hundredth of the interval, at most 10 ms", () => {
    const random = prng(1);
    for (const us of [10_000, 20_000, 250_000, 1_000_000, 3_000_000, 40_950_000]) {
      const stepUs = Math.min(us / 100, 10_000);
      for (let i = 0; i < 50; i++) {
        const lane = i % 8;
        const router = { ...routerWith(""), advertisementIntervalUs: us, lane };
        const now = random.integer(0, 1e12);
        const point = gridPoint(router, now);
        // Short intervals leave no room for lanes.
        expect(point % stepUs).toBe(us < 1_000_000 ? 0 : lane * 1250);
        expect(gridPoint(router, point)).toBe(point);
        expect(point).toBeLessThanOrEqual(now);
        expect(now - point).toBeLessThan(stepUs);
      }
    }
  });
});

function randomRouter(random: Prng): VirtualRouter {
  const intervalUs = random.pick([10_000, 250_000, 1_000_000, 3_000_000]);
  const orZero = (us: number): number => random.chance(0.5) ? 0 : us;
  return {
    version: random.pick([2, 3]),
    priority: random.pick([1, 99, 100, 101, 254, 255]),
    advertisementIntervalUs: intervalUs,
    lane: random.integer(0, 7),
    downTimerAdverts: random.pick([1, 3, 3, 3, 100]),
    preempt: random.chance(0.7),
    preemptDelayUs: orZero(random.integer(1, 10) * intervalUs),
    startsAsMaster: random.chance(0.5),
    lowerPriorityNoAdvert: random.chance(0.2),
    higherPrioritySendAdvert: random.chance(0.2),
    timerExpiredPriority: random.pick([undefined, undefined, 254, 1]),
    address: new Uint8Array([192, 0, 2, 5]),
    garp: {
      repeat: 5,
      delayUs: orZero(random.integer(1, 5_000_000)),
      refreshUs: orZero(random.integer(1, 5_000_000)),
      refreshRepeat: 1,
      lowerPriorityRepeat: random.integer(0, 2),
      lowerPriorityDelayUs: orZero(random.integer(1, 5_000_000)),
    },
  };
}

function randomEvent(random: Prng, router: VirtualRouter): Event {
  const type = random.pick(
    ["startup", "timer", "timer", "timer", "advert", "advert", "advert"] as const,
  );
  if (random.chance(0.1)) {
    const rare = ["shutdown", "fault", "recovery", "adoption", "reconfiguration"] as const;
    return { type: random.pick(rare) };
  }
  if (type !== "advert") return { type };
  const other = random.integer(1, 255);
  return {
    type,
    priority: random.pick([0, router.priority, Math.max(1, router.priority - 1), other]),
    source: new Uint8Array([192, 0, 2, random.pick([1, 5, 9, 200])]),
    advertisementIntervalUs: random.pick([10_000, 1_000_000, router.advertisementIntervalUs]),
  };
}

describe("properties of any step", () => {
  /** Calls `check` for the steps of random walks through all states, one reload in thirty steps. */
  function walk(
    check: (router: VirtualRouter, from: State, event: Event, now: number) => State,
  ): void {
    for (let seed = 1; seed <= 300; seed++) {
      const random = prng(seed);
      let router = randomRouter(random);
      let state: State = { name: "INIT" };
      let now = random.integer(0, 1e9);
      for (let i = 0; i < 60; i++) {
        if (random.chance(1 / 30)) router = randomRouter(random);
        const event = randomEvent(random, router);
        const dueAt = deadline(router, state);
        const awaits = event.type === "timer" && dueAt !== Infinity && random.chance(0.8);
        now = awaits ? Math.max(now, dueAt) : now + random.integer(0, 1_500_000);
        state = check(freeze(router), freeze(state), freeze(event), now);
      }
    }
  }

  test("the arguments are left alone and deadlines are whole microseconds", () => {
    walk((router, from, event, now) => {
      const before = JSON.stringify([router, from, event]);
      const { state } = step(router, from, event, now);
      expect(JSON.stringify([router, from, event])).toBe(before);
      const dueAt = deadline(router, state);
      expect(Number.isSafeInteger(dueAt) || dueAt === Infinity).toBe(true);
      expect(step(router, from, event, now)).toEqual(step(router, from, event, now));
      return state;
    });
  });

  test("a timer at or after the deadline leads to a later one, so nothing spins", () => {
    let taken = 0;
    walk((router, from, event, now) => {
      const { state } = step(router, from, event, now);
      const dueAt = deadline(router, state);
      if (event.type === "timer" && deadline(router, from) <= now) {
        expect(dueAt).toBeGreaterThan(now);
        taken++;
      }
      if (dueAt <= now) {
        expect(deadline(router, step(router, state, { type: "timer" }, now).state))
          .toBeGreaterThan(now);
      }
      return state;
    });
    expect(taken).toBeGreaterThan(1000);
  });

  test("a timer before the deadline changes nothing", () => {
    walk((router, from, event, now) => {
      if (deadline(router, from) > now) {
        const early = step(router, from, { type: "timer" }, now);
        expect(early.state).toEqual(from);
        expect(early.actions).toEqual([]);
      }
      return step(router, from, event, now).state;
    });
  });

  test("transitions are told, addresses follow them, priority 0 is for leaving alone", () => {
    const seen = new Set<string>();
    walk((router, from, event, now) => {
      const { state, actions } = step(router, from, event, now);
      const types = actions.map(({ type }) => type);
      const entered = state.name === "MASTER" && from.name !== "MASTER";
      const left = state.name !== "MASTER" && from.name === "MASTER";
      expect(types.filter((type) => type === "add")).toHaveLength(entered ? 1 : 0);
      expect(types.filter((type) => type === "remove")).toHaveLength(left ? 1 : 0);
      expect(types.indexOf("transition")).toBe(state.name === from.name ? -1 : types.length - 1);
      for (const action of actions) {
        if (action.type === "transition") {
          expect(action).toEqual({ type: "transition", from: from.name, to: state.name });
          seen.add(`${from.name}-${state.name}`);
        } else if (action.type === "advert") {
          const leaves = left && (event.type === "shutdown" || event.type === "fault");
          expect(action.priority).toBe(leaves ? 0 : router.priority);
        } else if (action.type === "announce") {
          expect(action.repeat).toBeGreaterThan(0);
        }
      }
      return state;
    });
    expect([...seen].sort()).toEqual([
      "BACKUP-FAULT",
      "BACKUP-INIT",
      "BACKUP-MASTER",
      "FAULT-BACKUP",
      "FAULT-INIT",
      "INIT-BACKUP",
      "INIT-FAULT",
      "INIT-MASTER",
      "MASTER-BACKUP",
      "MASTER-FAULT",
      "MASTER-INIT",
    ]);
  });
});
