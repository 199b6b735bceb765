import type { AnyStateMachine, AnyStateNode } from "xstate";

/** A state machine as Mermaid's state diagram: one arrow a pair of states, with the events that take it. */
export function drawMachine(machine: AnyStateMachine): string {
  const states = Object.values(machine.root.states) as AnyStateNode[];
  const initial = machine.root.initial.target?.[0]?.key;
  const lines = ["stateDiagram-v2", `  [*] --> ${initial}`];
  for (const state of states) {
    for (const [target, events] of arrowsOf(state, machine.root))
      lines.push(`  ${state.key} --> ${target}: ${events.join(", ")}`);
    if (state.type === "final") lines.push(`  ${state.key} --> [*]`);
  }
  return lines.join("\n");
}

/** What a state does itself goes before what holds in every state. An arrow of the root to where one is already is none. */
function arrowsOf(state: AnyStateNode, root: AnyStateNode): Map<string, string[]> {
  const arrows = new Map<string, string[]>();
  for (const [node, isOwn] of [
    [state, true],
    [root, false],
  ] as const) {
    if (state.type === "final") continue;
    for (const [event, transitions] of node.transitions) {
      if (!isOwn && state.transitions.has(event)) continue;
      for (const { target, guard } of transitions) {
        const to = target?.[0]?.key;
        if (to === undefined || (!isOwn && to === state.key)) continue;
        const label = guard === undefined ? event : `${event} [${String(guard)}]`;
        arrows.set(to, [...(arrows.get(to) ?? []), label]);
      }
    }
  }
  return arrows;
}
