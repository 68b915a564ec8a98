/**
 * One BFD session (RFC 5880 §6, asynchronous mode, no echo, no authentication) as a pure machine:
 * `step(session, state, event, now) → {state, actions}`.
 *
 * As in the state machine of VRRP a timer is a moment that {@link deadline} derives from the state, and the
 * configuration is an argument: what a reload changes is noticed by the next step and told to the peer by a
 * Poll Sequence. The variables of §6.8.1 are an object of their own, which stays the same object while
 * nothing in it changes: a session that is simply Up makes no more than a small state a packet, and
 * whoever sends can tell by identity that the packet is still the one before.
 *
 * Randomness comes with the event (`roll`), so that a step repeats.
 */

import type { ControlPacket, SessionState } from "../wire/bfd.ts";

/** What the machine needs to know of the configuration. Durations in microseconds. */
export interface Session {
  /** bfd.DesiredMinTxInterval while Up, above 0. */
  readonly minTxUs: number;
  /** The same while not Up; at least a second is used, whatever it says. */
  readonly idleTxUs: number;
  /** bfd.RequiredMinRxInterval, above 0. */
  readonly minRxUs: number;
  /** bfd.DetectMult, 1 to 255. */
  readonly multiplier: number;
  /** Takes the passive role: says nothing before the peer has. */
  readonly passive: boolean;
}

/** Diagnostic codes that we give (§4.1). */
export const DIAGNOSTIC = {
  none: 0,
  detectionTimeExpired: 1,
  neighborSignaledDown: 3,
  administrativelyDown: 7,
} as const;

/** The state variables (§6.8.1), and what a Poll Sequence in progress holds back. */
export interface Variables {
  /** bfd.SessionState. */
  readonly name: SessionState;
  /** bfd.LocalDiscr, not 0. */
  readonly localDiscriminator: number;
  /** bfd.RemoteDiscr; 0 when the peer has not been heard for a Detection Time. */
  readonly remoteDiscriminator: number;
  /** bfd.RemoteSessionState. */
  readonly remoteName: SessionState;
  /** bfd.LocalDiag. */
  readonly diagnostic: number;
  readonly remoteDiagnostic: number;
  /** bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval, as they are advertised … */
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
  /** … and as they are in effect, which can be later (§6.8.3). */
  readonly usedMinTxUs: number;
  readonly usedMinRxUs: number;
  /** bfd.RemoteMinRxInterval; 0 is a wish for silence. */
  readonly remoteMinRxUs: number;
  /** The last received Desired Min TX Interval and Detect Mult. */
  readonly remoteMinTxUs: number;
  readonly remoteMultiplier: number;
  /** bfd.RemoteDemandMode. */
  readonly remoteDemand: boolean;
  /** The Poll Sequence (§6.5): none, one under way, or one under way and another to follow it. */
  readonly poll: "none" | "active" | "again";
}

/** A session. Moments are on the monotonic clock. */
export interface State {
  readonly variables: Variables;
  /** When the last packet came that counts for the Detection Time. */
  readonly heardAt: number;
  /** When the last packet left that was not a mere answer to a Poll. */
  readonly sentAt: number;
  /** By how much the interval since then is shorter: 0.1 to 0.25 of it (§6.8.7). */
  readonly jitter: number;
  /** AdminDown: until when the peer is told; -Infinity when that is over. */
  readonly farewellUntil: number;
}

/** What can happen to a session; `roll` is at least 0 and below 1. */
export type Event =
  /** It is to run (§6.8.16). */
  | { readonly type: "enable"; readonly roll: number }
  /** It is to end: the peer hears AdminDown for a Detection Time, then the session can be forgotten. */
  | { readonly type: "disable"; readonly roll: number }
  | { readonly type: "timer"; readonly roll: number }
  /** A packet that §6.8.6 assigns to this session. */
  | { readonly type: "packet"; readonly roll: number; readonly packet: Readonly<ControlPacket> };

/** What is to be done, in this order. */
export type Action =
  /** Send {@link controlPacket} of the new state. */
  | { readonly type: "send"; readonly final: boolean }
  /** The session has changed its state. */
  | {
    readonly type: "transition";
    readonly from: SessionState;
    readonly to: SessionState;
    /** Why, ours and the peer's (§4.1). */
    readonly diagnostic: number;
    readonly remoteDiagnostic: number;
  }
  /** Nothing was heard for this long; the transition follows if there is one. */
  | { readonly type: "expired"; readonly detectionUs: number; readonly overdueUs: number }
  /** Who tracks the session is to know. A peer that is down because its operator wants it is no news. */
  | { readonly type: "signal"; readonly isUp: boolean }
  /** The farewell is over. */
  | { readonly type: "closed" };

/** A new state and what it takes to get there. */
export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

const SECOND_US = 1_000_000;
const NOTHING: readonly Action[] = [];
const SEND: readonly Action[] = [{ type: "send", final: false }];
const ANSWER: readonly Action[] = [{ type: "send", final: true }];

/** A session before it is enabled. */
export function initialState(session: Session, localDiscriminator: number): State {
  const idleUs = idleTxUs(session);
  return {
    variables: {
      name: "AdminDown",
      localDiscriminator,
      remoteDiscriminator: 0,
      remoteName: "Down",
      diagnostic: DIAGNOSTIC.none,
      remoteDiagnostic: DIAGNOSTIC.none,
      desiredMinTxUs: idleUs,
      requiredMinRxUs: session.minRxUs,
      usedMinTxUs: idleUs,
      usedMinRxUs: session.minRxUs,
      remoteMinRxUs: 1,
      remoteMinTxUs: 0,
      remoteMultiplier: 0,
      remoteDemand: false,
      poll: "none",
    },
    heardAt: -Infinity,
    sentAt: -Infinity,
    jitter: 0,
    farewellUntil: -Infinity,
  };
}

/** The Control packet that says how things stand; `final` answers a Poll. */
export function controlPacket(
  session: Session,
  variables: Variables,
  final: boolean,
): ControlPacket {
  return {
    diagnostic: variables.diagnostic,
    state: variables.name,
    // §6.5: never both; a Poll of ours waits for the next packet.
    poll: variables.poll !== "none" && !final,
    final,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: session.multiplier,
    myDiscriminator: variables.localDiscriminator,
    yourDiscriminator: variables.remoteDiscriminator,
    desiredMinTxUs: variables.desiredMinTxUs,
    requiredMinRxUs: variables.requiredMinRxUs,
    requiredMinEchoRxUs: 0,
  };
}

/** How long a packet may be missing, §6.8.4: 0 before the first one. */
export function detectionTimeUs(variables: Variables): number {
  return variables.remoteMultiplier * Math.max(variables.usedMinRxUs, variables.remoteMinTxUs);
}

/** The interval between packets before jitter (§6.8.2, §6.8.7). */
export function transmitIntervalUs(variables: Variables): number {
  return Math.max(variables.usedMinTxUs, variables.remoteMinRxUs);
}

/** When the machine wants its next `timer` event; Infinity for never. */
export function deadline(session: Session, state: State): number {
  return Math.min(detectAt(state), transmitAt(session, state), closeAt(state));
}

/** When the peer counts as lost: also without a session to lose, because its discriminator goes too. */
function detectAt({ variables, heardAt }: State): number {
  if (variables.name === "AdminDown" || variables.remoteDiscriminator === 0) return Infinity;
  return heardAt + detectionTimeUs(variables);
}

/** When the next packet leaves as a matter of course; Infinity while we are to be silent (§6.8.7). */
export function transmitAt(session: Session, state: State): number {
  if (!isSpeaking(session, state)) return Infinity;
  return state.sentAt + Math.floor(transmitIntervalUs(state.variables) * (1 - state.jitter));
}

function closeAt(state: State): number {
  return state.farewellUntil > -Infinity ? state.farewellUntil : Infinity;
}

// §6.8.7
function isSpeaking(session: Session, state: State): boolean {
  const { name, remoteDiscriminator, remoteMinRxUs, remoteDemand, remoteName, poll } =
    state.variables;
  if (name === "AdminDown" && state.farewellUntil === -Infinity) return false;
  if (session.passive && remoteDiscriminator === 0) return false;
  if (remoteMinRxUs === 0) return false;
  const isDemanded = remoteDemand && name === "Up" && remoteName === "Up";
  return !isDemanded || poll !== "none";
}

/** One event at one moment; `now` never goes back. */
export function step(session: Session, state: State, event: Event, now: number): Step {
  const current = follow(session, state);
  switch (event.type) {
    case "enable":
      return enable(session, current, event.roll, now);
    case "disable":
      return disable(session, current, event.roll, now);
    case "timer":
      return timer(session, current, event.roll, now);
    case "packet":
      return hear(session, current, event.packet, event.roll, now);
  }
}

/** Takes over what a reload has changed. */
function follow(session: Session, state: State): State {
  const variables = negotiate(session, state.variables);
  return variables === state.variables ? state : { ...state, variables };
}

// §6.8.3: what we want to advertise, and from when on it counts.
function negotiate(session: Session, variables: Variables): Variables {
  const isUp = variables.name === "Up";
  const desiredMinTxUs = isUp ? session.minTxUs : idleTxUs(session);
  const requiredMinRxUs = session.minRxUs;
  const isSame = desiredMinTxUs === variables.desiredMinTxUs &&
    requiredMinRxUs === variables.requiredMinRxUs;
  if (isSame) return variables;
  const { name, remoteDiscriminator, poll, usedMinTxUs, usedMinRxUs } = variables;
  // Only a peer that is there can be asked, and only while we listen. While Up it must know before we
  // speak less often than it expects, and before we expect it to speak more often.
  const isAsking = remoteDiscriminator !== 0 && name !== "AdminDown";
  return {
    ...variables,
    desiredMinTxUs,
    requiredMinRxUs,
    poll: !isAsking ? "none" : poll === "none" ? "active" : "again",
    usedMinTxUs: isUp && desiredMinTxUs > usedMinTxUs ? usedMinTxUs : desiredMinTxUs,
    usedMinRxUs: isUp && requiredMinRxUs < usedMinRxUs ? usedMinRxUs : requiredMinRxUs,
  };
}

function idleTxUs(session: Session): number {
  return Math.max(session.idleTxUs, SECOND_US);
}

// §6.8.16
function enable(session: Session, state: State, roll: number, now: number): Step {
  if (state.variables.name !== "AdminDown") return { state, actions: NOTHING };
  const next = { ...state, farewellUntil: -Infinity };
  return move(session, next, "Down", DIAGNOSTIC.none, { roll, now });
}

function disable(session: Session, state: State, roll: number, now: number): Step {
  const { name, remoteDiscriminator, remoteMinRxUs } = state.variables;
  if (name === "AdminDown") return { state, actions: NOTHING };
  const code = DIAGNOSTIC.administrativelyDown;
  const { state: next, actions } = move(session, state, "AdminDown", code, { roll, now });
  if (remoteDiscriminator === 0) return { state: next, actions: [...actions, { type: "closed" }] };
  // The peer's Detection Time, once it has heard the first of these.
  const farewellUs = session.multiplier * Math.max(next.variables.usedMinTxUs, remoteMinRxUs);
  return { state: { ...next, farewellUntil: now + farewellUs }, actions };
}

function timer(session: Session, state: State, roll: number, now: number): Step {
  if (closeAt(state) <= now) {
    return { state: { ...state, farewellUntil: -Infinity }, actions: [{ type: "closed" }] };
  }
  if (detectAt(state) <= now) return expire(session, state, roll, now);
  if (transmitAt(session, state) > now) return { state, actions: NOTHING };
  return { state: sent(state, roll, now), actions: SEND };
}

// §6.8.4: the peer is gone; its discriminator (§6.8.1) and its wishes with it.
function expire(session: Session, state: State, roll: number, now: number): Step {
  const { variables } = state;
  const detectionUs = detectionTimeUs(variables);
  const overdueUs = now - detectAt(state);
  const forgotten: State = {
    ...state,
    variables: {
      ...variables,
      remoteDiscriminator: 0,
      remoteMinRxUs: 1,
      remoteDemand: false,
      poll: "none",
    },
  };
  const isLost = variables.name === "Init" || variables.name === "Up";
  if (!isLost) return { state: forgotten, actions: NOTHING };
  const code = DIAGNOSTIC.detectionTimeExpired;
  const { state: next, actions } = move(session, forgotten, "Down", code, { roll, now });
  return { state: next, actions: [{ type: "expired", detectionUs, overdueUs }, ...actions] };
}

// §6.8.6, from "Set bfd.RemoteDiscr" on
function hear(
  session: Session,
  state: State,
  packet: Readonly<ControlPacket>,
  roll: number,
  now: number,
): Step {
  const variables = negotiate(session, endPoll(learn(state.variables, packet), packet.final));
  const { name } = variables;
  // Discarded: it does not count for the Detection Time.
  if (name === "AdminDown") return { state: { ...state, variables }, actions: NOTHING };
  const heard: State = { ...state, variables, heardAt: now };
  const to = nextState(name, packet.state);
  if (to === name) return { state: heard, actions: packet.poll ? ANSWER : NOTHING };
  const isSignaled = to === "Down";
  const code = isSignaled
    ? DIAGNOSTIC.neighborSignaledDown
    : to === "Up"
    ? DIAGNOSTIC.none
    : variables.diagnostic;
  return move(session, heard, to, code, { roll, now, final: packet.poll });
}

/** What a packet says of its sender; the same object when that is nothing new. */
function learn(variables: Variables, packet: Readonly<ControlPacket>): Variables {
  const isKnown = packet.myDiscriminator === variables.remoteDiscriminator &&
    packet.state === variables.remoteName &&
    packet.diagnostic === variables.remoteDiagnostic &&
    packet.requiredMinRxUs === variables.remoteMinRxUs &&
    packet.desiredMinTxUs === variables.remoteMinTxUs &&
    packet.multiplier === variables.remoteMultiplier &&
    packet.demand === variables.remoteDemand;
  if (isKnown) return variables;
  return {
    ...variables,
    remoteDiscriminator: packet.myDiscriminator,
    remoteName: packet.state,
    remoteDiagnostic: packet.diagnostic,
    remoteMinRxUs: packet.requiredMinRxUs,
    remoteMinTxUs: packet.desiredMinTxUs,
    remoteMultiplier: packet.multiplier,
    remoteDemand: packet.demand,
  };
}

/** §6.5: with the answer to a Poll what was advertised is in effect, unless that has changed meanwhile. */
function endPoll(variables: Variables, final: boolean): Variables {
  if (!final || variables.poll === "none") return variables;
  if (variables.poll === "again") return { ...variables, poll: "active" };
  return {
    ...variables,
    poll: "none",
    usedMinTxUs: variables.desiredMinTxUs,
    usedMinRxUs: variables.requiredMinRxUs,
  };
}

// §6.2, §6.8.6
function nextState(local: Exclude<SessionState, "AdminDown">, remote: SessionState): SessionState {
  if (remote === "AdminDown") return "Down";
  switch (local) {
    case "Down":
      return remote === "Down" ? "Init" : remote === "Init" ? "Up" : "Down";
    case "Init":
      return remote === "Down" ? "Init" : "Up";
    case "Up":
      return remote === "Down" ? "Down" : "Up";
  }
}

/** To another state, about which the peer hears at once and with our new wishes. */
function move(
  session: Session,
  state: State,
  to: SessionState,
  diagnostic: number,
  how: { readonly roll: number; readonly now: number; readonly final?: boolean },
): Step {
  const { name: from, remoteName, remoteDiagnostic } = state.variables;
  const variables = negotiate(session, { ...state.variables, name: to, diagnostic });
  const moved = { ...state, variables };
  const actions: Action[] = [{ type: "transition", from, to, diagnostic, remoteDiagnostic }];
  if (to === "Up") actions.push({ type: "signal", isUp: true });
  const isNews = from === "Up" && to === "Down" && remoteName !== "AdminDown";
  if (isNews) actions.push({ type: "signal", isUp: false });
  // §6.8.7: a Poll is answered in any case, the rest is for those who may speak.
  if (how.final === true) return { state: moved, actions: [...actions, ...ANSWER] };
  const mayPass = !(session.passive && variables.remoteDiscriminator === 0);
  if (!mayPass) return { state: moved, actions };
  return { state: sent(moved, how.roll, how.now), actions: [...actions, ...SEND] };
}

function sent(state: State, roll: number, now: number): State {
  return { ...state, sentAt: now, jitter: 0.1 + 0.15 * roll };
}
