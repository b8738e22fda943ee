// Definitions of Lua files as the parser `luaparse` sees them: a line of JSON for each.
// Arguments: the parser's module; file names come on standard input, one a line.
const luaparse = require(process.argv[2]);
const fs = require("fs");

const isFunction = (node) => node && node.type === "FunctionDeclaration";

function nameOf(target) {
  if (target.type === "Identifier") return target.name;
  if (target.type === "MemberExpression") return target.identifier.name;
  if (target.type === "IndexExpression" && target.index.type === "StringLiteral") {
    return `${nameOf(target.base)}[${target.index.raw.slice(1, -1)}]`;
  }
  return "";
}

// Pairs of a target and the function that is bound to it.
function bound(node) {
  if (isFunction(node)) return node.identifier ? [[node.identifier, node]] : [];
  if (node.type === "LocalStatement" || node.type === "AssignmentStatement") {
    return node.variables.map((target, index) => [target, node.init[index]]).filter((pair) => isFunction(pair[1]));
  }
  return [];
}

function visit(node, path, local) {
  if (!node || typeof node !== "object") return;
  if (Array.isArray(node)) return node.forEach((child) => visit(child, path, local));
  for (const [target] of bound(node)) print(path, nameOf(target), target.loc.start.line, local);
  if (node.type === "TableKeyString" && isFunction(node.value)) print(path, node.key.name, node.loc.start.line, local);
  if (node.type === "TableKey" && isFunction(node.value) && node.key.type === "StringLiteral") {
    print(path, node.key.raw.slice(1, -1), node.loc.start.line, local);
  }
  for (const child of Object.values(node)) visit(child, path, local || isFunction(node));
}

function print(path, name, line, local) {
  if (name) console.log(JSON.stringify({ path, name, kind: "function", line, local }));
}

for (const path of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const text = fs.readFileSync(path, "latin1").replace(/^#[^\n]*/, "");
  visit(luaparse.parse(text, { locations: true, comments: false, luaVersion: "5.3" }), path, false);
}
