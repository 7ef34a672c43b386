/** Runs before each test file of the project `node`, many of which start programs. */

// On a busy machine a short training of two seconds takes a minute.
jest.setTimeout(180_000);
