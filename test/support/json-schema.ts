// A validator for the part of JSON Schema that our schema uses; a keyword that it does not know is an error.

type Schema = Readonly<Record<string, unknown>>;

/** What does not fit, each with its path; empty when all does. */
export function schemaErrors(schema: Schema, value: unknown, path = ''): string[] {
  const errors: string[] = [];
  for (const [keyword, wanted] of Object.entries(schema)) {
    const check = KEYWORDS[keyword];
    if (check === undefined) throw new Error(`the schema has a keyword that is not known here: ${keyword}`);
    errors.push(...check(wanted, value, path, schema));
  }
  return errors;
}

type Check = (wanted: unknown, value: unknown, path: string, schema: Schema) => string[];

const none: Check = () => [];
const KEYWORDS: Readonly<Record<string, Check>> = {
  $schema: none,
  title: none,
  description: none,
  type: (wanted, value, path) => ([wanted].flat().includes(typeOf(value, wanted)) ? [] : [`${path}: no ${wanted}`]),
  enum: (wanted, value, path) => ((wanted as unknown[]).includes(value) ? [] : [`${path}: none of ${wanted}`]),
  pattern: (wanted, value, path) =>
    typeof value !== 'string' || new RegExp(wanted as string).test(value) ? [] : [`${path}: not like ${wanted}`],
  minimum: (wanted, value, path) =>
    typeof value !== 'number' || value >= (wanted as number) ? [] : [`${path}: less than ${wanted}`],
  anyOf: (wanted, value, path) => {
    const each = (wanted as Schema[]).map((schema) => schemaErrors(schema, value, path));
    return each.some((errors) => errors.length === 0) ? [] : each.flat();
  },
  items: (wanted, value, path) =>
    Array.isArray(value) ? value.flatMap((each, i) => schemaErrors(wanted as Schema, each, `${path}[${i}]`)) : [],
  required: (wanted, value, path) =>
    isObject(value)
      ? (wanted as string[]).filter((key) => !Object.hasOwn(value, key)).map((key) => `${path}.${key}: missing`)
      : [],
  properties: (wanted, value, path) =>
    isObject(value)
      ? Object.entries(wanted as Record<string, Schema>).flatMap(([key, schema]) =>
          Object.hasOwn(value, key) ? schemaErrors(schema, value[key], `${path}.${key}`) : [],
        )
      : [],
  additionalProperties: (wanted, value, path, { properties = {} }) => {
    if (!isObject(value)) return [];
    const others = Object.keys(value).filter((key) => !Object.hasOwn(properties as object, key));
    if (wanted === false) return others.map((key) => `${path}.${key}: not known`);
    return others.flatMap((key) => schemaErrors(wanted as Schema, value[key], `${path}.${key}`));
  },
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeOf(value: unknown, wanted: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return Number.isInteger(value) && [wanted].flat().includes('integer') ? 'integer' : typeof value;
}
