/** What may stand before a `/` that begins a regular expression, not a division. */
const beforeRegExp =
  /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield))\s*$/;

/**
 * The first private name (`#x`) in a piece of source, or null: fields under such names cannot be seen from outside.
 * Strings, templates, comments and regular expressions are passed over; code inside a template's `${}` is not.
 */
export function firstPrivateName(source: string): string | null {
  const templates: number[] = [];
  let braces = 0;
  let at = 0;
  while (at < source.length) {
    const char = source[at] as string;
    const next = source[at + 1];
    if (char === "/" && next === "/") at = endOf(source, "\n", at + 2);
    else if (char === "/" && next === "*") at = endOf(source, "*/", at + 2);
    else if (char === '"' || char === "'") at = endOfQuoted(source, char, at + 1);
    else if (char === "/" && beforeRegExp.test(source.slice(Math.max(0, at - 24), at)))
      at = endOfRegExp(source, at + 1);
    else if (char === "`" || (char === "}" && templates.at(-1) === braces)) {
      if (char === "}") templates.pop();
      const end = endOfTemplatePart(source, at + 1);
      if (end.opensCode) templates.push(braces);
      at = end.at;
    } else if (char === "#") {
      const name = /^#[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/u.exec(source.slice(at, at + 128));
      if (name !== null) return name[0];
      at += 1;
    } else {
      if (char === "{") braces += 1;
      if (char === "}") braces -= 1;
      at += 1;
    }
  }
  return null;
}

function endOf(source: string, mark: string, from: number): number {
  const at = source.indexOf(mark, from);
  return at === -1 ? source.length : at + mark.length;
}

function endOfQuoted(source: string, quote: string, from: number): number {
  let at = from;
  while (at < source.length && source[at] !== quote) at += source[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfRegExp(source: string, from: number): number {
  let inClass = false;
  let at = from;
  while (at < source.length && source[at] !== "\n") {
    const char = source[at];
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "/" && !inClass) return at + 1;
    at += 1;
  }
  return at;
}

function endOfTemplatePart(source: string, from: number): { at: number; opensCode: boolean } {
  let at = from;
  while (at < source.length) {
    if (source[at] === "`") return { at: at + 1, opensCode: false };
    if (source[at] === "$" && source[at + 1] === "{") return { at: at + 2, opensCode: true };
    at += source[at] === "\\" ? 2 : 1;
  }
  return { at, opensCode: false };
}
