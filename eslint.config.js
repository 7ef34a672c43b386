import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {ignores: ['**/dist/', '**/out/', 'coverage/', '.nx/']},
  js.configs.recommended,
  tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', {argsIgnorePattern: '^_'}],
      // Interfaces that merge with a library's are namespaces there.
      '@typescript-eslint/no-namespace': ['error', {allowDeclarations: true}],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: {console: 'readonly', process: 'readonly', performance: 'readonly'},
    },
  },
);
