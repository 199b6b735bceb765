// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are pieces of source
import { test } from "uvu";
import * as assert from "uvu/assert";
import { firstPrivateName } from "../../../server/session/graph/private-name.ts";

const without = [
  'class A { colour = "#fff"; }',
  "class A { colour = '#f\\'#ff'; }",
  "class A { /* see #12 */ a = 1; // issue #secret\n }",
  "class A { text = `#a ${1 + 2} #b`; }",
  "class A { hash = /#x\\/#y[/#z]/g.test('#'); }",
  "class A { ratio(a, b) { return a / b / '#x'.length; } }",
  "class A { m() { return /#abc/; } }",
];
const withName: [string, string][] = [
  ["class A { #a = 1; }", "#a"],
  ["class A { static #count = 0; }", "#count"],
  ["class A { #grüße() {} }", "#grüße"],
  ["class A { text = `#a ${this.#b} #c`; }", "#b"],
  ["class A { text = `#a ${`#x ${{ a: 1 }.a}`} ${#b in this}`; }", "#b"],
  ['class A { a = "#x"; b = a / this.#c; }', "#c"],
  ["class A { is(o) { return #a in o; } }", "#a"],
];

for (const source of without)
  test(`no private name in ${source}`, () => assert.is(firstPrivateName(source), null));
for (const [source, name] of withName) {
  test(`${name} is found in ${source}`, () => assert.is(firstPrivateName(source), name));
}

test.run();
