// Opens a Bruno collection as Bruno's app does: with the app's own reader, held against the app's
// own schema, and saved again without a loss.   Usage: node open.cjs BRUNO_FOLDER MODULES_FOLDER
//
// Prints a line for each fault; the last line says how many requests and environments there are.
const assert = require("assert");
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const [bruno, modules] = process.argv.slice(2).map((name) => path.resolve(name));
const load = createRequire(path.join(modules, "package.json"));
const files = load("@usebruno/filestore");
const schema = createRequire(load.resolve("@usebruno/converters"))("@usebruno/schema");

const FORMAT = { format: "bru" };
const KINDS = {
  "collection.bru": [files.parseCollection, files.stringifyCollection],
  "folder.bru": [files.parseFolder, files.stringifyFolder],
  environment: [files.parseEnvironment, files.stringifyEnvironment],
  request: [files.parseRequest, files.stringifyRequest],
};
const NO_ITEMS = ["bruno.json", "collection.bru", "environments"];
const faults = [];
let names = 0;

function fault(file, error) {
  const said = error.errors?.length ? error.errors : [error.message.split("\n")[0]];
  faults.push(...said.map((one) => `${path.relative(bruno, file)}: ${one}`));
}

/** What a file says; and the same once more after the app has saved it. */
function read(file, kind) {
  const [parse, stringify] = KINDS[kind];
  const said = parse(fs.readFileSync(file, "utf8"), FORMAT);
  const saved = kind === "collection.bru" ? stringify(said, {}, FORMAT) : stringify(said, FORMAT);
  assert.deepStrictEqual(parse(saved, FORMAT), said, "saved by the app, it is another");
  return said;
}

/** The app names all that it shows in a list. */
function name(value) {
  if (Array.isArray(value)) {
    value.filter((one) => one && typeof one === "object").forEach((one) => {
      one.uid = String(++names).padStart(21, "0");
    });
  }
  if (value && typeof value === "object") Object.values(value).forEach(name);
  return value;
}

function request(file) {
  return { ...read(file, "request"), filename: path.basename(file), pathname: file };
}

/** What a folder's or the collection's own file says. The reader adds settings, which are empty. */
function root(directory, kind) {
  const { settings, ...said } = read(path.join(directory, kind), kind);
  assert.deepStrictEqual(settings, {}, "settings are for requests");
  return said;
}

function folder(directory) {
  return { name: path.basename(directory), type: "folder", filename: path.basename(directory),
    pathname: directory, root: root(directory, "folder.bru"), items: inside(directory, request) };
}

function environment(file) {
  return { ...read(file, "environment"), name: path.basename(file, ".bru") };
}

/** What is in a folder; a file that can't be read is a fault, and left out. */
function inside(directory, made) {
  return fs.readdirSync(directory).sort().flatMap((entry) => {
    const file = path.join(directory, entry);
    if (NO_ITEMS.includes(path.relative(bruno, file)) || entry === "folder.bru") return [];
    try {
      if (fs.statSync(file).isDirectory()) return [folder(file)];
      assert.strictEqual(path.extname(entry), ".bru", "no file of Bruno's");
      return [made(file)];
    } catch (error) {
      fault(file, error);
      return [];
    }
  });
}

function check(file, kind, value) {
  try {
    kind.validateSync(value, { abortEarly: false });
  } catch (error) {
    fault(file, error);
  }
}

/** What the app asks of bruno.json, before it opens anything. */
function checkConfig(file, { name: title, type, version }) {
  if (!(typeof title === "string" && title.length > 0 && title.length <= 256)) {
    fault(file, new Error("name is required, of at most 256 characters"));
  }
  if (type !== "collection") fault(file, new Error("type has to be collection"));
  if (version !== "1") fault(file, new Error("version has to be 1"));
}

function flat(items) {
  return items.flatMap((item) => (item.type === "folder" ? flat(item.items) : [item]));
}

const config = path.join(bruno, "bruno.json");
const brunoConfig = JSON.parse(fs.readFileSync(config, "utf8"));
checkConfig(config, brunoConfig);
const [collection] = name([{
  version: brunoConfig.version, name: brunoConfig.name, brunoConfig, pathname: bruno,
  root: root(bruno, "collection.bru"), items: inside(bruno, request),
  environments: inside(path.join(bruno, "environments"), environment),
}]);
check(bruno, schema.collectionSchema, collection);

faults.forEach((one) => console.log(one));
const [requests, environments] = [flat(collection.items).length, collection.environments.length];
console.log(`${requests} requests, ${environments} environments`);
process.exit(faults.length ? 1 : 0);
