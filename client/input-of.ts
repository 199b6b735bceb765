/** As the SDK has it, which keeps the name to itself. */
export type InputOf<T> = (T extends abstract new (...args: never[]) => infer R ? R : T) extends {
  input?: new () => infer I;
}
  ? I
  : // biome-ignore lint/suspicious/noExplicitAny: the SDK's own default
    any;
