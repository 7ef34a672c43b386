// Which module may import which, types included: `npm run check:dependencies`. ARCHITECTURE.md
// draws the same as a map. A rule that is broken is named with the import that breaks it.

/**
 * The layer package from top to bottom: what stands in a line may import what stands below it,
 * and what stands beside it. A name is a file of packages/layer/src, or a folder where it ends
 * in a slash. A new file is entered here.
 */
const layers = [
  // What users import, and what packages beside this one do. They know nothing of each other.
  ['index', 'introspection'],
  ['statistics_files/'],
  ['models/'],
  ['model_hooks', 'incoming_weights'],
  ['res_batch_norm'],
  ['call', 'moving_statistics'],
  ['check_arguments'],
  ['arguments'],
  ['batch_statistics'],
  ['override_call'],
  ['update_ops'],
  ['norm/'],
  ['kernels/'],
  ['batch_norms'],
  ['channel_view', 'errors', 'replica_group'],
];

const source = '^packages/layer/src/';
// Tests may import what they test from anywhere, the package as a whole for one.
const tests = '\\.test\\.ts$|^packages/[^/]+/test/';

/** A regular expression for the files of some layers. */
function filesOf(names) {
  const files = names.map(name => (name.endsWith('/') ? name : `${name}\\.ts$`));
  return `${source}(${files.join('|')})`;
}

const downwards = layers.slice(1).map((names, i) => ({
  name: `layer-not-upwards-from-${names[0].replace('/', '')}`,
  comment:
    'A module is understood, and changed, with what is below it alone. ' +
    'The order is the list of layers in .dependency-cruiser.mjs.',
  severity: 'error',
  from: {path: filesOf(names), pathNot: tests},
  to: {path: filesOf(layers.slice(0, i + 1).flat())},
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    {
      name: 'no-circle',
      comment:
        'Of modules in a circle none can be read, tested or bundled without the others, and ' +
        'which of them is evaluated first depends on who imports them.',
      severity: 'error',
      from: {},
      to: {circular: true},
    },
    {
      name: 'no-orphan',
      comment: 'What nothing imports, and what imports nothing, is left over.',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: [
          '\\.d\\.c?ts$',
          tests,
          // Jest, esbuild or a parent process is told their paths.
          '^testing/jest_in_chromium/(fixtures/|node_(globals|shims)\\.ts$)',
          '^tools/verify-gpu/test/worker\\.mjs$',
        ],
      },
      to: {},
    },
    {
      name: 'no-unknown-module',
      comment: 'An import that leads nowhere would escape every other rule.',
      severity: 'error',
      from: {},
      // The runner imports that one in a page.
      to: {couldNotResolve: true, pathNot: '^/page\\.js$'},
    },
    ...downwards,
    {
      name: 'layer-in-the-list',
      comment: 'A file that is not in the list of layers would escape the rules above.',
      severity: 'error',
      from: {},
      to: {path: source, pathNot: [filesOf(layers.flat()), tests]},
    },
    {
      name: 'layer-index-and-introspection-apart',
      comment:
        'Importing the package registers the layer class and hooks into models; importing ' +
        'introspection must do neither, so that a package that only looks at models can use it.',
      severity: 'error',
      from: {path: filesOf(['introspection'])},
      to: {
        path: filesOf(['index', 'model_hooks', 'res_batch_norm', 'norm/gradients']),
        reachable: true,
      },
    },
    {
      name: 'kernels-apart',
      comment:
        'A backend is understood, and a new one added, without the others. cpu and wasm share ' +
        'the loops over arrays.',
      severity: 'error',
      from: {path: `${source}kernels/([^/]+)/`, pathNot: tests},
      to: {
        path: `${source}kernels/[^/]+/`,
        pathNot: `${source}kernels/($1|arrays)/`,
      },
    },
    {
      name: 'arrays-for-cpu-and-wasm-alone',
      comment: 'The other backends have no arrays that a loop could go over.',
      severity: 'error',
      from: {path: `${source}kernels/(?!arrays/|wasm/)[^/]+/`, pathNot: tests},
      to: {path: `${source}kernels/arrays/`},
    },
    {
      name: 'kernels-by-contract',
      comment:
        'The kernels of a backend know the contract and how an input is seen as channels; who ' +
        'runs them is none of their business.',
      severity: 'error',
      from: {path: `${source}kernels/[^/]+/`, pathNot: tests},
      to: {
        path: `${source}kernels/[^/]+\\.ts$`,
        pathNot: `${source}kernels/kernel\\.ts$`,
      },
    },
    {
      name: 'models-without-kernels',
      comment:
        'The functions on models work on layers and their weights, with ops that every ' +
        'backend has.',
      severity: 'error',
      from: {path: `${source}models/`, pathNot: tests},
      to: {path: `${source}kernels/`},
    },
    {
      name: 'callbacks-by-introspection',
      comment:
        'Callbacks watch models of either batch norm. They must not bring a second copy of the ' +
        'layer, nor depend on how it is made.',
      severity: 'error',
      from: {path: '^packages/callbacks/src/', pathNot: tests},
      to: {path: '^packages/layer/', pathNot: filesOf(['introspection'])},
    },
    {
      name: 'callbacks-browser-safe',
      comment: 'Browsers take the callbacks; what needs Node is behind ./node.',
      severity: 'error',
      from: {path: '^packages/callbacks/src/index\\.ts$'},
      to: {path: '^packages/callbacks/src/node\\.ts$', reachable: true},
    },
    {
      name: 'packages-for-themselves',
      comment: 'What is published cannot import what is not.',
      severity: 'error',
      from: {path: '^packages/', pathNot: tests},
      to: {path: '^(examples|tools|testing)/'},
    },
    {
      name: 'examples-to-copy',
      comment:
        "The trainer's model, data and training are to be copied; only its command line takes " +
        'what the tools share.',
      severity: 'error',
      from: {
        path: '^examples/resnet/src/',
        pathNot: [
          tests,
          '^examples/resnet/src/(main|options|run|callbacks|resumed_training)\\.ts$',
        ],
      },
      to: {path: '^(tools|testing)/', reachable: true},
    },
    {
      name: 'tools-common-for-itself',
      comment: 'What is shared knows nothing of who shares it.',
      severity: 'error',
      from: {path: '^tools/common/', pathNot: tests},
      to: {path: '^(examples|testing|tools/(?!common/))'},
    },
    {
      name: 'testing-for-itself',
      comment:
        'The reference and the backends of the tests depend on nothing that they test.',
      severity: 'error',
      from: {path: '^testing/', pathNot: [tests, '^testing/jest(_in_chromium)?/']},
      to: {path: '^(packages|examples|tools)/'},
    },
  ],
  options: {
    // The `paths` in it lead to the sources of the packages.
    tsConfig: {fileName: 'tsconfig.json'},
    tsPreCompilationDeps: true,
    doNotFollow: {path: 'node_modules'},
    exclude: {path: '(^|/)(dist|out|coverage)/'},
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts', '.d.cts', '.json'],
    },
  },
};
