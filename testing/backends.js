// The backends that the tests run on. A backend is added here and in set_up_backend.ts.

export const backends = [{name: 'cpu'}, {name: 'wasm'}];
