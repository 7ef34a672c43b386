/* global __dirname, exports */
// Where this package lies. CommonJS, so that built sources and tests alike can import it.
exports.packageDirectory = __dirname;
