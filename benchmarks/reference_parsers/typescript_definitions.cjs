// Definitions of JavaScript and TypeScript files as the TypeScript compiler sees them: a line of JSON for each.
// Arguments: the compiler's module; file names come on standard input, one a line.
const ts = require(process.argv[2]);
const fs = require("fs");

const isFunction = (node) => node && (ts.isArrowFunction(node) || ts.isFunctionExpression(node));
const isWrapped = (node) => isFunction(node) || (ts.isCallExpression(node) && node.arguments.some(isWrapped));
const unwrapped = (node) => {
  while (node && (ts.isParenthesizedExpression(node) || ts.isAsExpression(node))) node = node.expression;
  return node;
};

function kindOf(node) {
  if (ts.isFunctionDeclaration(node)) return node.body ? "function" : "signature";
  if (ts.isConstructorDeclaration(node)) return node.body ? "method" : "signature";
  if (ts.isMethodDeclaration(node)) {
    if (!ts.isClassLike(node.parent)) return "object method";
    return node.body ? "method" : "signature";
  }
  if (ts.isGetAccessor(node) || ts.isSetAccessor(node)) return ts.isClassLike(node.parent) ? "accessor" : "object method";
  if (ts.isClassDeclaration(node)) return "class";
  if (ts.isInterfaceDeclaration(node)) return "interface";
  if (ts.isTypeAliasDeclaration(node)) return "type alias";
  if (ts.isEnumDeclaration(node)) return "enum";
  if (ts.isModuleDeclaration(node)) return "namespace";
  if (ts.isMethodSignature(node)) return "interface method";
  const value = unwrapped(node.initializer ?? (ts.isBinaryExpression(node) ? node.right : undefined));
  if (ts.isVariableDeclaration(node) && isFunction(value)) return "bound function";
  if (ts.isVariableDeclaration(node) && value && ts.isClassExpression(value)) return "bound class";
  if (node.initializer && value && ts.isCallExpression(value) && value.arguments.some(isWrapped)) return "wrapped function";
  if (ts.isPropertyDeclaration(node) && isFunction(value)) return "function property";
  if (ts.isPropertyAssignment(node) && isFunction(value)) return "object method";
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken && isFunction(value)) {
    return "assigned function";
  }
  if (ts.isBinaryExpression(node) && value && ts.isClassExpression(value)) return "assigned class";
  return undefined;
}

function nameOf(node, file) {
  if (ts.isConstructorDeclaration(node)) return [node, "constructor"];
  let name = ts.isBinaryExpression(node) ? node.left : node.name;
  // What is exported is called by its own name.
  const value = ts.isBinaryExpression(node) ? unwrapped(node.right) : undefined;
  if (value?.name && node.left.getText(file) === "module.exports") name = value.name;
  if (!name) return [node, ""];
  if (name === node.left) {
    if (ts.isPropertyAccessExpression(name)) name = name.name;
    else if (!ts.isIdentifier(name)) return [node, ""];
  }
  const text = name.getText(file);
  return [name, ts.isStringLiteral(name) ? name.text : text];
}

// The first of the overloads that a function completes.
function firstOverload(node, name, file) {
  const beside = node.parent.statements ?? node.parent.members ?? [];
  let first = node;
  for (let index = beside.indexOf(node) - 1; index >= 0; index--) {
    const other = beside[index];
    if (other.kind !== node.kind || other.body || nameOf(other, file)[1] !== name) break;
    first = other;
  }
  return first;
}

function visit(node, file, path, local) {
  const kind = kindOf(node);
  if (kind) {
    const name = nameOf(node, file)[1];
    const line = file.getLineAndCharacterOfPosition(nameOf(firstOverload(node, name, file), file)[0].getStart(file)).line + 1;
    if (name) console.log(JSON.stringify({ path, name, kind, line, local }));
  }
  const inner = local || (ts.isFunctionLike(node) && node.body !== undefined);
  ts.forEachChild(node, (child) => visit(child, file, path, inner));
}

for (const path of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const kind = /\.[cm]?jsx?$/.test(path) ? ts.ScriptKind.JSX : path.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  const file = ts.createSourceFile(path, fs.readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true, kind);
  visit(file, file, path, false);
}
