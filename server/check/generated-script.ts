import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { CheckScript, CheckStep } from "./check-script.ts";
import { samplePayload } from "./sample-payload.ts";

/** What the stock room has registered; TypeScript calls it private. */
interface Registered {
  readonly onMessageEvents: { readonly events: Readonly<Record<string, unknown>> };
  readonly onMessageValidators: Readonly<Record<string, StandardSchemaV1 | undefined>>;
}

export interface GeneratedScript {
  readonly script: CheckScript;
  /** Message types that no message was made for, and why. */
  readonly leftOut: readonly string[];
}

const bytesPrefix = "_$b";
const typesMax = 100;
/** As long as a room may be without rest before that is worth a warning (design 5.5). */
const quietMs = 60_000;
const quietSteps = 12;

const join = (client: string): CheckStep => ({ type: "join", client });
const tick = (ms: number): CheckStep => ({ type: "tick", ms });
const drop = (client: string): CheckStep => ({ type: "leave", client, consented: false });

/** Players who join, say everything that the room listens to, lose their connections, come back and leave. */
export function generateScript(room: object): GeneratedScript {
  const { onMessageEvents, onMessageValidators } = room as Registered;
  const leftOut: string[] = [];
  const said: { message: string; payload: unknown }[] = [];
  for (const type of Object.keys(onMessageEvents.events)) {
    const payload = samplePayload(onMessageValidators[type]);
    if (type.startsWith(bytesPrefix)) leftOut.push(`"${type.slice(bytesPrefix.length)}": it takes bytes`);
    else if (payload === undefined) leftOut.push(`"${type}": nothing was found that its schema takes`);
    else if (said.length >= typesMax) leftOut.push(`"${type}": the first ${typesMax} types are tried`);
    else said.push({ message: type === "*" ? "anything" : type, payload });
  }
  const talk = (client: string): CheckStep[] =>
    said.flatMap(({ message, payload }) => [{ type: "message", client, message, payload }, tick(70)]);
  const steps = [
    ...[join("ann"), tick(50), join("ben"), join("cleo"), tick(500)],
    ...[...talk("ann"), ...talk("ben"), drop("ben"), tick(300), ...talk("ann")],
    ...[{ type: "reconnect", client: "ben" } as const, tick(200), ...talk("ben"), ...talk("cleo")],
    ...[drop("cleo"), tick(1_000), { type: "leave", client: "ben" } as const, tick(3_000), join("dora")],
    ...[...talk("dora"), { type: "leave", client: "dora" } as const],
    // What was begun has time to end; then everybody is gone, and the room ends or rests.
    ...Array.from({ length: quietSteps }, () => tick(quietMs / quietSteps)),
    ...[{ type: "leave", client: "ann" } as const, tick(quietMs)],
  ];
  return { script: { steps }, leftOut };
}
