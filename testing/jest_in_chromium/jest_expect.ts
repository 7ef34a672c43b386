export {expect as jestExpect} from 'expect';
