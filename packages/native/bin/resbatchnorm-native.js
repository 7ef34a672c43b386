#!/usr/bin/env node
// Apart from dist, so that npm can link the command before the package is built.
import '../dist/main.js';
