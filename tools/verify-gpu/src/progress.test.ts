import {Progress} from './progress.js';

function written(isTTY: boolean): {text: string[]; progress: Progress} {
  const text: string[] = [];
  const write = (part: string) => text.push(part) > 0;
  return {text, progress: new Progress({isTTY, write} as never)};
}

it('is one line of a terminal, and gone at the end', () => {
  const {text, progress} = written(true);
  progress.show('one');
  progress.show('two');
  progress.clear();
  expect(text.join('')).toBe('\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K');
});

it('does not flood a log', () => {
  const {text, progress} = written(false);
  for (let i = 0; i < 1000; i++) progress.show(`step ${i}`);
  progress.clear();
  expect(text).toEqual(['step 0\n']);
});
