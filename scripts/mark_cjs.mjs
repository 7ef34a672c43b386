// Run in a package's folder after its build: says to Node that dist/cjs holds CommonJS,
// though the package as a whole is "type": "module".
import {writeFileSync} from 'node:fs';

writeFileSync('dist/cjs/package.json', '{"type": "commonjs"}\n');
