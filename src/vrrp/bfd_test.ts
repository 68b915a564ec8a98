/** The BFD machine, rule by rule of RFC 5880 §6. Two of them against each other: test/sim/bfd_test.ts. */

import { describe, expect, test } from "bun:test";
import { parseTable } from "../../test/support/table.ts";
import { blankControl, type ControlPacket, type SessionState } from "../wire/bfd.ts";
import {
  type Action,
  controlPacket,
  deadline,
  detectionTimeUs,
  type Event,
  initialState,
  type Session,
  type State,
  step,
  transmitAt,
  transmitIntervalUs,
} from "./bfd.ts";

const MS = 1000;
const LOCAL = 0x10;
const REMOTE = 0x20;

/** Ours: 10 ms to send, 20 ms to receive, 3 may be lost. */
const SESSION: Session = {
  minTxUs: 10 * MS,
  minRxUs: 20 * MS,
  idleTxUs: 1000 * MS,
  multiplier: 3,
  passive: false,
};

/** The peer's: 30 ms to send, 40 ms to receive, 5 may be lost; 1 s while not Up. */
function packet(state: SessionState, more: Partial<ControlPacket> = {}): ControlPacket {
  return {
    ...blankControl(),
    state,
    multiplier: 5,
    myDiscriminator: REMOTE,
    yourDiscriminator: LOCAL,
    desiredMinTxUs: state === "Up" ? 30 * MS : 1000 * MS,
    requiredMinRxUs: 40 * MS,
    ...more,
  };
}

const heard = (one: ControlPacket): Event => ({ type: "packet", roll: 0, packet: one });
const ENABLE: Event = { type: "enable", roll: 0 };
const DISABLE: Event = { type: "disable", roll: 0 };
const TIMER: Event = { type: "timer", roll: 0 };

function run(session: Session, events: readonly Event[], now = 0): State {
  return events.reduce(
    (state, event) => step(session, state, event, now).state,
    initialState(session, LOCAL),
  );
}

/** How each state of the column `in` is reached, at 0. */
const WAYS: Readonly<Record<string, readonly Event[]>> = {
  AdminDown: [],
  Down: [ENABLE],
  Init: [ENABLE, heard(packet("Down"))],
  Up: [ENABLE, heard(packet("Init")), heard(packet("Up", { final: true }))],
  // Up, the answer to the Poll still to come.
  "Up?": [ENABLE, heard(packet("Init"))],
  // Down again, by the peer's word.
  "Down!": [ENABLE, heard(packet("Init")), heard(packet("Down"))],
};

/** What the column `with` makes of the session before the state is reached. */
const SESSIONS: Readonly<Record<string, Session>> = {
  "": SESSION,
  passive: { ...SESSION, passive: true },
  "idle 2 s": { ...SESSION, idleTxUs: 2000 * MS },
  "idle 10 ms": { ...SESSION, idleTxUs: 10 * MS },
};

/** What the column `event` means: an event, or a packet with fields of its own. */
function eventOf(text: string): Event {
  if (text === "enable") return ENABLE;
  if (text === "disable") return DISABLE;
  if (text === "timer" || text.startsWith("timer ")) return TIMER;
  const [state, ...words] = text.split(" ");
  const more: Partial<ControlPacket> = {};
  for (const word of words) {
    if (word === "P") more.poll = true;
    else if (word === "F") more.final = true;
    else if (word === "D") more.demand = true;
    else if (word === "quiet") more.requiredMinRxUs = 0;
    else if (word === "slow") more.desiredMinTxUs = 500 * MS;
    else if (word === "busy") more.requiredMinRxUs = 300 * MS;
    else if (word === "x2") more.multiplier = 2;
    else if (word === "new") more.myDiscriminator = REMOTE + 1;
    else throw new Error(`no word "${word}"`);
  }
  return heard(packet(state as SessionState, more));
}

function describeAction(action: Action): string {
  switch (action.type) {
    case "send":
      return action.final ? "answer" : "send";
    case "transition":
      return `${action.from}→${action.to} ${action.diagnostic}`;
    case "signal":
      return action.isUp ? "UP" : "DOWN";
    case "expired":
      return `expired ${action.detectionUs / MS}`;
    case "closed":
      return "closed";
  }
}

const COLUMNS = [
  "§",
  "in",
  "with",
  "event",
  "to",
  "tx",
  "detect",
  "poll",
  "remote",
  "actions",
] as const;

// tx: the interval in ms before jitter. detect: the Detection Time in ms. remote: bfd.RemoteDiscr.
// All events happen at 5 ms but for "timer N", which happens at N ms.
const TABLE = `
  §     | in        | with       | event         | to        | tx   | detect | poll   | remote | actions

  The three-way handshake
  6.8.16| AdminDown |            | enable        | Down      | 1000 | 0      | none   | 0      | AdminDown→Down 0, send
  6.1   | AdminDown | passive    | enable        | Down      | -    | 0      | none   | 0      | AdminDown→Down 0
  6.8.6 | Down      |            | Down          | Init      | 1000 | 5000   | none   | 20     | Down→Init 0, send
  6.8.6 | Down      | passive    | Down          | Init      | 1000 | 5000   | none   | 20     | Down→Init 0, send
  6.8.6 | Down      |            | Init          | Up        | 40   | 5000   | active | 20     | Down→Up 0, UP, send
  6.8.6 | Down      |            | Up            | Down      | 1000 | 150    | none   | 20     |
  6.8.6 | Down      |            | AdminDown     | Down      | 1000 | 5000   | none   | 20     |
  6.8.6 | Init      |            | Down          | Init      | 1000 | 5000   | none   | 20     |
  6.8.6 | Init      |            | Init          | Up        | 40   | 5000   | active | 20     | Init→Up 0, UP, send
  6.8.6 | Init      |            | Up            | Up        | 40   | 150    | active | 20     | Init→Up 0, UP, send
  6.8.6 | Init      |            | AdminDown     | Down      | 1000 | 5000   | none   | 20     | Init→Down 3, send
  6.8.6 | Up        |            | Init          | Up        | 40   | 5000   | none   | 20     |
  6.8.6 | Up        |            | Up            | Up        | 40   | 150    | none   | 20     |
  6.8.6 | Up        |            | Down          | Down      | 1000 | 5000   | active | 20     | Up→Down 3, DOWN, send
  6.8.6 | Up        |            | AdminDown     | Down      | 1000 | 5000   | active | 20     | Up→Down 3, send
  6.8.6 | AdminDown |            | Down          | AdminDown | -    | 5000   | none   | 20     |
  6.8.6 | AdminDown |            | Up P          | AdminDown | -    | 150    | none   | 20     |
  6.8.6 | Down!     |            | Down          | Init      | 1000 | 5000   | again  | 20     | Down→Init 3, send
  6.8.6 | Down!     |            | Init          | Up        | 40   | 5000   | again  | 20     | Down→Up 0, UP, send
  6.8.1 | Up        |            | Up new        | Up        | 40   | 150    | none   | 21     |

  Rates
  6.8.3 | AdminDown | idle 2 s   | enable        | Down      | 2000 | 0      | none   | 0      | AdminDown→Down 0, send
  6.8.3 | AdminDown | idle 10 ms | enable        | Down      | 1000 | 0      | none   | 0      | AdminDown→Down 0, send
  6.8.2 | Up        |            | Up busy       | Up        | 300  | 150    | none   | 20     |
  6.8.4 | Up        |            | Up slow       | Up        | 40   | 2500   | none   | 20     |
  6.8.4 | Up        |            | Up x2         | Up        | 40   | 60     | none   | 20     |
  6.8.7 | Up        |            | Up quiet      | Up        | -    | 150    | none   | 20     |
  6.6   | Up        |            | Up D          | Up        | -    | 150    | none   | 20     |
  6.6   | Up?       |            | Up D          | Up        | 40   | 150    | active | 20     |
  6.6   | Up?       |            | Up D F        | Up        | -    | 150    | none   | 20     |
  6.6   | Init      |            | Down D        | Init      | 1000 | 5000   | none   | 20     |
  6.8.7 | Up        |            | timer 35      | Up        | 40   | 150    | none   | 20     |
  6.8.7 | Up        |            | timer 36      | Up        | 40   | 150    | none   | 20     | send
  6.8.7 | Down      |            | timer 899     | Down      | 1000 | 0      | none   | 0      |
  6.8.7 | Down      |            | timer 900     | Down      | 1000 | 0      | none   | 0      | send
  6.8.7 | Down      | passive    | timer 9999    | Down      | -    | 0      | none   | 0      |

  Polls
  6.5   | Up        |            | Up P          | Up        | 40   | 150    | none   | 20     | answer
  6.5   | Up?       |            | Up F          | Up        | 40   | 150    | none   | 20     |
  6.5   | Up?       |            | Up            | Up        | 40   | 150    | active | 20     |
  6.5   | Up?       |            | Up P          | Up        | 40   | 150    | active | 20     | answer
  6.5   | Up        |            | Up F          | Up        | 40   | 150    | none   | 20     |
  6.5   | Down!     |            | Down F        | Init      | 1000 | 5000   | active | 20     | Down→Init 3, send
  6.8.7 | Up        |            | Up P quiet    | Up        | -    | 150    | none   | 20     | answer
  6.8.7 | Down      | passive    | Down P        | Init      | 1000 | 5000   | none   | 20     | Down→Init 0, answer
  6.8.7 | Init      |            | Up P          | Up        | 40   | 150    | active | 20     | Init→Up 0, UP, answer
  6.8.7 | Up        |            | Down P        | Down      | 1000 | 5000   | active | 20     | Up→Down 3, DOWN, answer

  Detection
  6.8.4 | Up        |            | timer 149     | Up        | 40   | 150    | none   | 20     | send
  6.8.4 | Up        |            | timer 150     | Down      | 1000 | 150    | none   | 0      | expired 150, Up→Down 1, DOWN, send
  6.8.4 | Up        | passive    | timer 150     | Down      | -    | 150    | none   | 0      | expired 150, Up→Down 1, DOWN
  6.8.4 | Up?       |            | timer 5000    | Down      | 1000 | 5000   | none   | 0      | expired 5000, Up→Down 1, DOWN, send
  6.8.4 | Init      |            | timer 4999    | Init      | 1000 | 5000   | none   | 20     | send
  6.8.4 | Init      |            | timer 5000    | Down      | 1000 | 5000   | none   | 0      | expired 5000, Init→Down 1, send
  6.8.1 | Down!     |            | timer 4999    | Down      | 1000 | 5000   | again  | 20     | send
  6.8.1 | Down!     |            | timer 5000    | Down      | 1000 | 5000   | none   | 0      |

  The end
  6.8.16| Up        |            | disable       | AdminDown | 1000 | 150    | none   | 20     | Up→AdminDown 7, send
  6.8.16| Init      |            | disable       | AdminDown | 1000 | 5000   | none   | 20     | Init→AdminDown 7, send
  6.8.16| Down      |            | disable       | AdminDown | -    | 0      | none   | 0      | Down→AdminDown 7, send, closed
  6.8.16| Down      | passive    | disable       | AdminDown | -    | 0      | none   | 0      | Down→AdminDown 7, closed
  6.8.16| AdminDown |            | disable       | AdminDown | -    | 0      | none   | 0      |
  6.8.16| AdminDown |            | timer         | AdminDown | -    | 0      | none   | 0      |
  6.8.16| Up        |            | enable        | Up        | 40   | 150    | none   | 20     |
`;

describe("RFC 5880 §6", () => {
  for (const row of parseTable(COLUMNS, TABLE)) {
    test(row.text, () => {
      const session = SESSIONS[row.with]!;
      const before = run(session, WAYS[row.in]!);
      const now = Number(/^timer (\d+)$/.exec(row.event)?.[1] ?? 5) * MS;
      const { state, actions } = step(session, before, eventOf(row.event), now);
      const { variables } = state;
      expect({
        to: variables.name,
        tx: transmitAt(session, state) === Infinity ? "-" : `${transmitIntervalUs(variables) / MS}`,
        detect: `${detectionTimeUs(variables) / MS}`,
        poll: variables.poll,
        remote: variables.remoteDiscriminator.toString(16),
        actions: actions.map(describeAction).join(", "),
      }).toEqual({
        to: row.to as SessionState,
        tx: row.tx,
        detect: row.detect,
        poll: row.poll as "none",
        remote: row.remote,
        actions: row.actions,
      });
      // A step changes nothing it was given and repeats.
      expect(step(session, before, eventOf(row.event), now)).toEqual({ state, actions });
    });
  }
});

describe("what is sent", () => {
  const bits = (state: State, final = false): ControlPacket =>
    controlPacket(SESSION, state.variables, final);

  test("before the peer is heard", () => {
    expect(bits(run(SESSION, WAYS["Down"]!))).toEqual({
      ...blankControl(),
      state: "Down",
      multiplier: 3,
      myDiscriminator: LOCAL,
      desiredMinTxUs: 1000 * MS,
      requiredMinRxUs: 20 * MS,
    });
  });

  test("on becoming Up: our wishes, with a Poll until it is answered", () => {
    const asking = { state: "Up", poll: true, yourDiscriminator: REMOTE, desiredMinTxUs: 10 * MS };
    expect(bits(run(SESSION, WAYS["Up?"]!))).toMatchObject(asking);
    expect(bits(run(SESSION, WAYS["Up"]!))).toMatchObject({ ...asking, poll: false });
  });

  test("an answer never asks (§6.5)", () => {
    expect(bits(run(SESSION, WAYS["Up?"]!), true)).toMatchObject({ poll: false, final: true });
  });

  test("why we went down, until we are Up again", () => {
    const up = run(SESSION, WAYS["Up"]!);
    const down = step(SESSION, up, TIMER, 150 * MS).state;
    expect(bits(down)).toMatchObject({ state: "Down", diagnostic: 1, yourDiscriminator: 0 });
    const init = step(SESSION, down, heard(packet("Down")), 151 * MS).state;
    expect(bits(init)).toMatchObject({ state: "Init", diagnostic: 1, desiredMinTxUs: 1000 * MS });
    const again = step(SESSION, init, heard(packet("Up")), 152 * MS).state;
    expect(bits(again)).toMatchObject({ state: "Up", diagnostic: 0 });
  });

  test("AdminDown asks nothing and is slow", () => {
    const state = step(SESSION, run(SESSION, WAYS["Up"]!), DISABLE, 5 * MS).state;
    expect(bits(state)).toMatchObject({
      state: "AdminDown",
      diagnostic: 7,
      poll: false,
      desiredMinTxUs: 1000 * MS,
    });
  });
});

describe("jitter (§6.8.7)", () => {
  test("is 10 to 25 % of the interval, of the roll at the last packet", () => {
    for (const [roll, ms] of [[0, 36], [0.5, 33], [0.999999, 30]] as const) {
      const { state } = step(SESSION, run(SESSION, WAYS["Up"]!), { type: "timer", roll }, 40 * MS);
      expect(deadline(SESSION, state) / MS - 40).toBeCloseTo(ms, 3);
    }
  });

  test("the moment follows what the peer asks for", () => {
    const up = run(SESSION, WAYS["Up"]!);
    expect(deadline(SESSION, up)).toBe(36 * MS);
    const event = heard(packet("Up", { requiredMinRxUs: 100 * MS }));
    expect(deadline(SESSION, step(SESSION, up, event, 5 * MS).state)).toBe(90 * MS);
  });
});

describe("a reload while Up (§6.8.3)", () => {
  const up = run(SESSION, WAYS["Up"]!);
  const answer = heard(packet("Up", { final: true }));

  test("speaking less often waits for the peer's consent", () => {
    const slower = { ...SESSION, minTxUs: 200 * MS };
    const asked = step(slower, up, TIMER, 36 * MS);
    expect(controlPacket(slower, asked.state.variables, false)).toMatchObject({
      poll: true,
      desiredMinTxUs: 200 * MS,
    });
    expect(transmitIntervalUs(asked.state.variables)).toBe(40 * MS);
    const agreed = step(slower, asked.state, answer, 37 * MS).state;
    expect(transmitIntervalUs(agreed.variables)).toBe(200 * MS);
  });

  test("speaking more often does not", () => {
    const early = step(SESSION, up, heard(packet("Up", { requiredMinRxUs: MS })), 1 * MS).state;
    const faster = { ...SESSION, minTxUs: 5 * MS };
    const asked = step(faster, early, TIMER, 9 * MS);
    expect(asked.state.variables.poll).toBe("active");
    expect(transmitIntervalUs(asked.state.variables)).toBe(5 * MS);
  });

  test("expecting more waits for consent, expecting less does not", () => {
    const eager = { ...SESSION, minRxUs: 2 * MS };
    const patient = { ...SESSION, minRxUs: 300 * MS };
    const quick = heard(packet("Up", { desiredMinTxUs: 1 * MS }));
    const before = step(SESSION, up, quick, MS).state;
    expect(detectionTimeUs(before.variables)).toBe(100 * MS);
    const asked = step(eager, before, quick, 2 * MS).state;
    expect(detectionTimeUs(asked.variables)).toBe(100 * MS);
    const agreed = heard(packet("Up", { final: true, desiredMinTxUs: 1 * MS }));
    expect(detectionTimeUs(step(eager, asked, agreed, 3 * MS).state.variables)).toBe(10 * MS);
    expect(detectionTimeUs(step(patient, before, quick, 2 * MS).state.variables)).toBe(1500 * MS);
  });

  test("a second change while a Poll is out is asked for when that is answered", () => {
    const slow = { ...SESSION, minTxUs: 200 * MS };
    const slower = { ...SESSION, minTxUs: 300 * MS };
    const first = step(slow, up, TIMER, 36 * MS).state;
    const second = step(slower, first, TIMER, 37 * MS).state;
    expect(second.variables.poll).toBe("again");
    const answered = step(slower, second, answer, 38 * MS).state;
    expect(answered.variables.poll).toBe("active");
    expect(transmitIntervalUs(answered.variables)).toBe(40 * MS);
    const done = step(slower, answered, answer, 39 * MS).state;
    expect(done.variables.poll).toBe("none");
    expect(transmitIntervalUs(done.variables)).toBe(300 * MS);
  });
});

test("the farewell lasts as long as the peer then waits, is spoken slowly, and ends", () => {
  let { state } = step(SESSION, run(SESSION, WAYS["Up"]!), DISABLE, 0);
  const said: number[] = [];
  for (;;) {
    const now = deadline(SESSION, state);
    if (now === Infinity) break;
    const next = step(SESSION, state, TIMER, now);
    state = next.state;
    said.push(now / MS);
    if (next.actions.some((action) => action.type === "closed")) break;
    expect(next.actions.map(describeAction)).toEqual(["send"]);
  }
  expect(said).toEqual([900, 1800, 2700, 3000]);
  expect(deadline(SESSION, state)).toBe(Infinity);
});

test("what a lost peer had asked for is forgotten with it", () => {
  const quiet = packet("Up", { requiredMinRxUs: 0, demand: true });
  const silent = step(SESSION, run(SESSION, WAYS["Up"]!), heard(quiet), 0).state;
  const lost = step(SESSION, silent, TIMER, 150 * MS).state;
  expect(lost.variables).toMatchObject({ remoteMinRxUs: 1, remoteDemand: false, poll: "none" });
  expect(deadline(SESSION, lost)).toBe(1050 * MS);
});

test("a session that is Up makes no new variables", () => {
  const up = run(SESSION, WAYS["Up"]!);
  const same = step(SESSION, up, heard(packet("Up")), MS).state;
  expect(same.variables).toBe(up.variables);
  expect(step(SESSION, same, TIMER, 36 * MS).state.variables).toBe(up.variables);
});
