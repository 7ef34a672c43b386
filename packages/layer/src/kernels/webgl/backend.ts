import {env, type DataId, type DataType, type TensorInfo} from '@tensorflow/tfjs-core';

/** What of `MathBackendWebGL` is used; naming it so spares the dependency on its package. */
interface WebGLBackend {
  texData: {get(dataId: DataId): {texture?: object | null; isPacked?: boolean}};
  packTensor(input: TensorInfo): TensorInfo;
  runWebGLProgram(
    program: WebGLProgram,
    inputs: TensorInfo[],
    outputDtype: DataType,
    customUniformValues: undefined,
    preventEagerUnpackingOfOutput: boolean,
  ): TensorInfo;
  disposeIntermediateTensorInfo(tensor: TensorInfo): void;
}

/** A fragment shader as the backend takes it. */
interface WebGLProgram {
  variableNames: string[];
  outputShape: number[];
  userCode: string;
  packedInputs: boolean;
  packedOutput: boolean;
  /** Makes `outTexShape`, the [rows, columns] of values in the output's texture, a uniform. */
  enableShapeUniforms: boolean;
}

/** A fragment shader with what it reads: each input is a sampler by its name. */
export interface Program {
  inputs: Record<string, TensorInfo>;
  shape: number[];
  /** GLSL ES 3.00. */
  code: string;
}

export interface Runner {
  /** Runs the shader once for each texel of the packed output. */
  run(program: Program): TensorInfo;
  /** The tensor in the shape, in a packed texture: itself if it is in one already. */
  packed(tensor: TensorInfo, shape: number[]): TensorInfo;
}

/** Runs `compute`, and disposes the tensors that it makes and does not return. */
export function withRunner(
  backend: unknown,
  compute: (runner: Runner) => TensorInfo[],
): TensorInfo[] {
  const webgl = backend as WebGLBackend;
  const made: TensorInfo[] = [];
  let kept: TensorInfo[] = [];
  const track = (tensor: TensorInfo) => {
    made.push(tensor);
    return tensor;
  };
  try {
    kept = compute({
      run: ({inputs, shape, code}) => {
        const program: WebGLProgram = {
          variableNames: Object.keys(inputs),
          outputShape: shape,
          userCode: code,
          packedInputs: true,
          packedOutput: true,
          enableShapeUniforms: true,
        };
        const output = webgl.runWebGLProgram(
          program,
          Object.values(inputs),
          'float32',
          undefined,
          true,
        );
        return track(output);
      },
      packed: ({dataId, dtype}, shape) => {
        const {texture, isPacked} = webgl.texData.get(dataId);
        const tensor = {dataId, dtype, shape};
        // What is not in a texture yet is packed as it is uploaded.
        return texture == null || isPacked ? tensor : track(webgl.packTensor(tensor));
      },
    });
  } finally {
    for (const tensor of made) {
      if (!kept.some(({dataId}) => dataId === tensor.dataId)) {
        webgl.disposeIntermediateTensorInfo(tensor);
      }
    }
  }
  return kept;
}

/** The least width and height of textures that WebGL 2 promises. */
export const LEAST_TEXTURE_SIZE = 2048;

/** Up to here, float32 holds every integer. */
const MAX_TEXELS = 2 ** 24;

/**
 * Whether the shaders work here: they are of WebGL 2 and round as float32 does, what is per
 * channel must be one row of texels, and texels are counted in floats.
 */
export function isSupported(channels: number, texels = channels): boolean {
  const rowSize = Math.max(channels, LEAST_TEXTURE_SIZE);
  return (
    env().getNumber('WEBGL_VERSION') === 2 &&
    env().getBool('WEBGL_RENDER_FLOAT32_ENABLED') &&
    rowSize <= env().getNumber('WEBGL_MAX_TEXTURE_SIZE') &&
    rowSize <= env().getNumber('WEBGL_MAX_SIZE_FOR_NARROW_TEXTURE') &&
    texels <= MAX_TEXELS
  );
}
