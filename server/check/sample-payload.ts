import type { StandardSchemaV1 } from "@standard-schema/spec";
import { z } from "zod";

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** How deep a sample goes into a schema that holds itself. */
const depthMax = 8;

/**
 * Something that a message's schema takes; undefined: none could be made. Only Zod says what its schemas are; of another
 * library's, `{}` is tried.
 */
export function samplePayload(schema: StandardSchemaV1 | undefined): unknown {
  if (schema === undefined) return {};
  const samples = schema["~standard"].vendor === "zod" ? [...zodSamples(schema), {}] : [{}];
  return samples.find((sample) => isTaken(schema, sample));
}

function isTaken(schema: StandardSchemaV1, sample: unknown): boolean {
  try {
    const result = schema["~standard"].validate(sample);
    return !(result instanceof Promise) && result.issues === undefined;
  } catch {
    return false;
  }
}

function zodSamples(schema: StandardSchemaV1): unknown[] {
  try {
    const json = z.toJSONSchema(schema as unknown as z.ZodType, { io: "input", unrepresentable: "any" });
    return [sampleOf(json, depthMax)];
  } catch {
    return []; // another Zod's, or what JSON has no word for
  }
}

function sampleOf(schema: JsonSchema, depth: number): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const [choice] = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  if (typeof choice === "object") return sampleOf(choice, depth);
  switch (schema.type) {
    case "object":
      return Object.fromEntries(
        Object.entries(schema.properties ?? {})
          .filter(([name]) => depth > 0 || (schema.required ?? []).includes(name))
          .map(([name, each]) => [name, sampleOf(each as JsonSchema, depth - 1)]),
      );
    case "array":
      return arrayOf(schema, depth);
    case "string":
      return stringOf(schema);
    case "number":
    case "integer":
      return numberOf(schema);
    case "boolean":
      return true;
    default:
      return schema.type === "null" ? null : {};
  }
}

function arrayOf({ prefixItems, items, minItems }: JsonSchema, depth: number): unknown[] {
  if (Array.isArray(prefixItems)) return prefixItems.map((each) => sampleOf(each as JsonSchema, depth - 1));
  if (typeof items !== "object" || Array.isArray(items) || depth <= 0) return [];
  return Array.from({ length: Math.max(1, minItems ?? 0) }, () => sampleOf(items as JsonSchema, depth - 1));
}

const formats: Readonly<Record<string, string>> = {
  email: "ann@example.com",
  uri: "https://example.com/",
  uuid: "7d444840-9dc0-41d1-b245-5ffdce74fad2",
  date: "2024-01-01",
  "date-time": "2024-01-01T00:00:00.000Z",
};

function stringOf({ format, minLength, maxLength }: JsonSchema): string {
  return formats[format ?? ""] ?? "salve".padEnd(minLength ?? 0, "!").slice(0, maxLength ?? undefined);
}

function numberOf({ type, minimum, exclusiveMinimum, maximum, multipleOf }: JsonSchema): number {
  const above = typeof exclusiveMinimum === "number" ? exclusiveMinimum + (type === "integer" ? 1 : 0.5) : 1;
  // Zod gives whole numbers the widest bounds that there are.
  const low = minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? above : Math.max(above, minimum);
  const value = Math.min(low, maximum ?? low);
  return multipleOf === undefined ? value : Math.ceil(value / multipleOf) * multipleOf;
}
