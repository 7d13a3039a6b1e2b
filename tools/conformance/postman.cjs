// Makes the Postman collection and environments of contract/postman from the Bruno collection, with
// Bruno's own converter.   Usage: node postman.cjs BRUNO_FOLDER POSTMAN_FOLDER MODULES_FOLDER
//
// What the converter leaves undone is done here: names of folders, a query given twice where a
// variable begins the URL, and scripts that wait, for Postman knows no await outside of functions.
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const [bruno, postman, modules] = process.argv.slice(2).map((name) => path.resolve(name));
const load = createRequire(path.join(modules, "package.json"));
const { brunoToPostman } = load("@usebruno/converters");
const { createCollectionJsonFromPathname } =
  load(path.join(modules, "node_modules/@usebruno/cli/src/utils/collection.js"));
const { parseEnvironment } = load("@usebruno/filestore");

const END = '})().catch((fault) => pm.test("the script came to its end", () => { throw fault; }));';

function write(name, value) {
  fs.mkdirSync(postman, { recursive: true });
  fs.writeFileSync(path.join(postman, name), JSON.stringify(value, null, 2) + "\n");
}

function environment(file) {
  const name = path.basename(file, ".bru");
  const { variables } = parseEnvironment(fs.readFileSync(file, "utf8"), { format: "bru" });
  const values = variables.map(({ name: key, value, secret }) => (
    { key, value: value || "", type: secret ? "secret" : "default", enabled: true }));
  write(`${name}.postman_environment.json`, { name: `trunnion ${name}`, values });
}

function named(item) {
  item.name = item.root?.meta?.name || item.name;
  (item.items || []).forEach(named);
}

function mend(item) {
  (item.item || []).forEach(mend);
  const parts = item.request?.url?.path || [];
  if (parts.length) parts.push(parts.pop().split("?")[0]);
  for (const { script } of item.event || []) {
    if (script.exec.some((line) => line.includes("await "))) {
      script.exec = ["(async () => {", ...script.exec, END];
    }
  }
}

const collection = createCollectionJsonFromPathname(bruno);
collection.name = collection.brunoConfig.name;
collection.items.forEach(named);
const made = brunoToPostman(collection);
made.item.forEach(mend);
write("trunnion.postman_collection.json", made);
const environments = path.join(bruno, "environments");
fs.readdirSync(environments).sort().forEach((file) => environment(path.join(environments, file)));
