// Run in a package's folder before its build: what was built of files that are gone must not be
// published.
import {rmSync} from 'node:fs';

rmSync('dist', {recursive: true, force: true});
