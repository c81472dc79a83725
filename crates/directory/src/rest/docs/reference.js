// Shows /openapi.json as a page. Text is inserted as text, never as markup.
"use strict";

/** Creates an element with attributes and children; strings become text. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text with `code` between backticks. */
function prose(text) {
  return (text ?? "").split("`").map((part, at) => (at % 2 ? el("code", {}, part) : part));
}

function refName(reference) {
  return reference.split("/").pop();
}

/** A schema's type; names of schemas are links. */
function kind(schema) {
  if (!schema) return [""];
  if (schema.$ref) {
    const name = refName(schema.$ref);
    return [el("a", { href: `#schema-${name}` }, name)];
  }
  if (schema.allOf) return schema.allOf.flatMap((part, at) => (at ? [" and ", ...kind(part)] : kind(part)));
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) {
    const real = choices.filter((choice) => choice.type !== "null");
    return real.flatMap((part, at) => (at ? [" or ", ...kind(part)] : kind(part)));
  }
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(", ")];
  const types = [schema.type ?? "object"].flat().filter((type) => type !== "null");
  if (types[0] === "array") return ["list of ", ...kind(schema.items)];
  return [types.join(" or ")];
}

/** A schema's bounds. */
function limits(schema) {
  if (!schema) return "";
  const bounds = [];
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    bounds.push(`${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}`);
  }
  if (schema.minLength !== undefined || schema.maxLength !== undefined) {
    bounds.push(`${schema.minLength ?? 0} to ${schema.maxLength ?? "…"} characters`);
  }
  if (schema.pattern) bounds.push(schema.pattern);
  return bounds.join("; ");
}

function table(heads, rows) {
  const head = el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text)));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell))));
  return el("div", { class: "narrow" }, el("table", {}, el("thead", {}, head), el("tbody", {}, body)));
}

function fieldName(name, isRequired) {
  return [el("code", {}, name), isRequired ? "" : " (optional)"];
}

function what(schema, description) {
  return [...prose(description), el("div", { class: "limits" }, limits(schema))];
}

/** The fields of an object, including those of the schemas it extends. */
function fields(schema) {
  const parts = [schema, ...(schema.allOf ?? [])];
  const rows = parts.flatMap((part) => {
    const required = new Set(part.required ?? []);
    return Object.entries(part.properties ?? {}).map(([name, of]) => [
      fieldName(name, required.has(name)), kind(of), what(of, of.description),
    ]);
  });
  return rows.length ? table(["field", "type", ""], rows) : null;
}

function parameters(list) {
  if (!list?.length) return [];
  const rows = list.map((parameter) => [
    fieldName(parameter.name, parameter.required),
    kind(parameter.schema),
    what(parameter.schema, parameter.description ?? `in the ${parameter.in}`),
  ]);
  return [el("h4", {}, "Parameters"), table(["name", "type", ""], rows)];
}

function body(request) {
  if (!request) return [];
  const [[type, content]] = Object.entries(request.content);
  const optional = request.required ? "" : " (optional)";
  return [el("h4", {}, `Body${optional}`), el("p", {}, el("code", {}, type), ": ", kind(content.schema))];
}

function responses(all) {
  const rows = Object.entries(all).map(([status, response]) => {
    const [type, content] = Object.entries(response.content ?? {})[0] ?? [];
    const is = type?.includes("problem") ? kind({ $ref: "Problem" }) : content ? kind(content.schema) : [];
    return [el("code", {}, status), is, el("span", { class: "about" }, prose(response.description))];
  });
  return [el("h4", {}, "Responses"), table(["status", "type", ""], rows)];
}

function operation(path, method, item) {
  return el("article", { id: item.operationId },
    el("h3", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("span", { class: "path" }, path)),
    el("p", {}, prose(item.summary)),
    item.description ? el("p", { class: "about" }, prose(item.description)) : null,
    el("p", { class: "session" }, item.security ? "Requires a session: authorization: Bearer TOKEN" : "Requires no session"),
    parameters(item.parameters), body(item.requestBody), responses(item.responses));
}

function show(description) {
  const main = document.getElementById("reference");
  const contents = document.getElementById("contents");
  const all = Object.entries(description.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, of]) => ({ path, method, of })));
  main.replaceChildren(
    el("h1", {}, `${description.info.title} ${description.info.version}`),
    el("p", { class: "about" }, prose(description.info.description)),
    el("p", {}, el("a", { href: "/openapi.json" }, "/openapi.json"), " is the machine-readable form."));
  contents.replaceChildren();
  for (const tag of description.tags) {
    const of = all.filter((one) => one.of.tags.includes(tag.name));
    if (!of.length) continue;
    contents.append(el("h2", {}, tag.name), ...of.map((one) => el("a", { href: `#${one.of.operationId}` },
      el("span", { class: one.method }, one.method.toUpperCase()), ` ${one.path}`)));
    main.append(el("section", { class: "tag" }, el("h2", {}, tag.name), el("p", {}, prose(tag.description)),
      of.map((one) => operation(one.path, one.method, one.of))));
  }
  contents.append(el("h2", {}, "schemas"));
  const schemas = el("section", { class: "tag" }, el("h2", {}, "schemas"));
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    contents.append(el("a", { href: `#schema-${name}` }, name));
    schemas.append(el("article", { id: `schema-${name}` }, el("h3", {}, name),
      el("p", { class: "about" }, prose(schema.description)),
      fields(schema) ?? el("p", {}, kind(schema), " ", el("span", { class: "limits" }, limits(schema)))));
  }
  main.append(schemas);
  // The browser resolved the anchor before the element existed.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => {
    document.getElementById("state").textContent = `Cannot load the API description: ${error.message}`;
  });
