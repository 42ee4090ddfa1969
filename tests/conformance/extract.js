// Writes data/*.json from the npm package @bufbuild/cel-spec: see README.md.
const fs = require("node:fs");
const path = require("node:path");

const { tests } = require(path.resolve(process.argv[2], "dist/cjs/testdata/conformance.js"));
for (const suite of tests.suites) {
  const sections = (suite.suites ?? []).map(({ name, tests }) => {
    const lines = tests.map(({ original, type }) => "  " + JSON.stringify({ ...original, type }));
    return ` ${JSON.stringify(name)}: [\n${lines.join(",\n")}\n ]`;
  });
  if (sections.length) {
    fs.writeFileSync(path.join(__dirname, "data", `${suite.name}.json`), `{\n${sections.join(",\n")}\n}\n`);
  }
}
