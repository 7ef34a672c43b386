#include "passes.h"

#include <algorithm>
#include <array>

#include "parts.h"
#include "vector_units.h"

namespace resbatchnorm {
namespace {

using tensorflow::thread::ThreadPool;

// So many rows are added up in float32 before their sum goes into one of float64. The rounding
// errors of sums so short are small, and of either sign.
constexpr int kRowsPerSum = 8;

// How wide rows are at least, so that vector units are full.
constexpr int64_t kWidth = 64;
constexpr int64_t kWidthWithinChannel = 32;

// Rows of values that are adjacent in memory, and where their columns are (see Grid).
struct Block {
  int64_t start, height, width, column;
};

// An array as rows, in each column of which are values of one channel. Where the channels come
// last, rows of few channels are taken together for one, and channel c has the columns c,
// c + channels, …; elsewhere the values of a channel, being adjacent, are made into rows, and
// channel c has the columns from c·width on.
class Grid {
 public:
  explicit Grid(const ChannelView& view) : view_(view) {
    if (IsLast()) {
      const int64_t together = (kWidth + view.channels - 1) / view.channels;
      width_ = view.channels * std::min(together, view.outer);
    } else {
      width_ = std::min(kWidthWithinChannel, view.inner);
    }
  }

  int64_t Columns() const { return IsLast() ? width_ : view_.channels * width_; }

  int64_t ChannelOf(int64_t column) const {
    return IsLast() ? column % view_.channels : column / width_;
  }

  // One value a channel, as one a column.
  std::vector<float> Spread(const float* values) const {
    std::vector<float> columns(Columns());
    for (int64_t i = 0; i < Columns(); ++i) columns[i] = values[ChannelOf(i)];
    return columns;
  }
  std::vector<float> Spread(const std::vector<float>& values) const {
    return Spread(values.data());
  }

  // How many threads are worth it.
  int64_t PartsFor(const ThreadPool& pool) const {
    return std::max<int64_t>(1, std::min(Units(), ThreadsFor(view_.size(), pool)));
  }

  // Calls visit(block) for blocks that together are one of so many parts of the array.
  template <typename Visit>
  void VisitPart(int64_t part, int64_t parts, Visit visit) const {
    const int64_t begin = Units() * part / parts;
    const int64_t end = Units() * (part + 1) / parts;
    if (IsLast()) {
      VisitRows(begin * width_, (end - begin) * width_, 0, visit);
      const int64_t rest = view_.size() % width_;
      if (part == parts - 1) VisitRows(view_.size() - rest, rest, 0, visit);
    } else {
      for (int64_t run = begin; run < end; ++run) {
        VisitRows(run * view_.inner, view_.inner, run % view_.channels * width_, visit);
      }
    }
  }

 private:
  bool IsLast() const { return view_.inner == 1; }

  // What is not divided among threads: a row, or the adjacent values of a channel.
  int64_t Units() const {
    return IsLast() ? view_.size() / width_ : view_.outer * view_.channels;
  }

  // Whole rows, and what is left as a row that is shorter.
  template <typename Visit>
  void VisitRows(int64_t start, int64_t size, int64_t column, Visit visit) const {
    const int64_t height = size / width_;
    const int64_t rest = size % width_;
    if (height > 0) visit(Block{start, height, width_, column});
    if (rest > 0) visit(Block{start + size - rest, 1, rest, column});
  }

  const ChannelView view_;
  int64_t width_;
};

// Sums of each channel: add(block, sums) adds those of a block, one a column. Sums of the same
// name lie `columns` apart.
template <int kinds, typename Add>
void SumUp(const ChannelView& view, ThreadPool* pool, const Grid& grid,
           const std::array<Sums*, kinds>& results, Add add) {
  const int64_t columns = grid.Columns();
  std::vector<Sums> of_parts(grid.PartsFor(*pool));
  ForEachPart(of_parts.size(), pool, [&](int64_t part, int64_t parts) {
    Sums& sums = of_parts[part];
    sums.assign(kinds * columns, 0);
    grid.VisitPart(part, parts,
                   [&](const Block& block) { add(block, &sums[block.column], columns); });
  });
  for (int kind = 0; kind < kinds; ++kind) {
    Sums& result = *results[kind];
    result.assign(view.channels, 0);
    for (const Sums& sums : of_parts) {
      for (int64_t i = 0; i < columns; ++i) result[grid.ChannelOf(i)] += sums[kind * columns + i];
    }
  }
}

template <int rows>
INLINED void AddMoments(const float* __restrict x, int64_t width, const float* __restrict shift,
                        double* __restrict sum, double* __restrict square) {
  for (int64_t i = 0; i < width; ++i) {
    float s = 0, q = 0;
    for (int row = 0; row < rows; ++row) {
      const float d = x[row * width + i] - shift[i];
      s += d;
      q += d * d;
    }
    sum[i] += s;
    square[i] += q;
  }
}

FOR_EACH_VECTOR_UNIT
void MomentsOf(const Block& block, const float* x, const float* shift, double* sums,
               int64_t columns) {
  const int64_t width = block.width;
  int64_t row = 0;
  for (; row + kRowsPerSum <= block.height; row += kRowsPerSum) {
    AddMoments<kRowsPerSum>(x + row * width, width, shift, sums, sums + columns);
  }
  for (; row < block.height; ++row) {
    AddMoments<1>(x + row * width, width, shift, sums, sums + columns);
  }
}

template <bool has_y>
INLINED float Dz(const float* dy, const float* y, Bounds bounds, int64_t i) {
  if (!has_y) return dy[i];
  return (y[i] > bounds.low) & (y[i] < bounds.high) ? dy[i] : 0;
}

template <int rows, bool has_y>
INLINED void AddGradSums(const float* __restrict dy, const float* __restrict y, Bounds bounds,
                         const float* __restrict x, int64_t width,
                         const float* __restrict shift, double* __restrict sum_dz,
                         double* __restrict sum_x, double* __restrict sum_dz_x) {
  for (int64_t i = 0; i < width; ++i) {
    float s = 0, t = 0, q = 0;
    for (int row = 0; row < rows; ++row) {
      const float d = x[row * width + i] - shift[i];
      const float dz = Dz<has_y>(dy, y, bounds, row * width + i);
      s += dz;
      t += d;
      q += dz * d;
    }
    sum_dz[i] += s;
    sum_x[i] += t;
    sum_dz_x[i] += q;
  }
}

template <bool has_y>
INLINED void GradSumsOf(const Block& block, Upstream upstream, const float* x, const float* shift,
                        double* sums, int64_t columns) {
  const int64_t width = block.width;
  const auto [dy, y, bounds] = upstream;
  int64_t row = 0;
  for (; row + kRowsPerSum <= block.height; row += kRowsPerSum) {
    const int64_t at = row * width;
    AddGradSums<kRowsPerSum, has_y>(dy + at, y + at, bounds, x + at, width, shift, sums,
                                    sums + columns, sums + 2 * columns);
  }
  for (; row < block.height; ++row) {
    const int64_t at = row * width;
    AddGradSums<1, has_y>(dy + at, y + at, bounds, x + at, width, shift, sums, sums + columns,
                          sums + 2 * columns);
  }
}

FOR_EACH_VECTOR_UNIT
void GradSumsOf(const Block& block, Upstream upstream, const float* x, const float* shift,
                double* sums, int64_t columns) {
  if (upstream.y == nullptr) {
    GradSumsOf<false>(block, upstream, x, shift, sums, columns);
  } else {
    GradSumsOf<true>(block, upstream, x, shift, sums, columns);
  }
}

// One value of each a column, for a·(x − shift) + b.
struct Columns {
  std::vector<float> shift, a, b;
  Columns(const Grid& grid, const Affine& affine)
      : shift(grid.Spread(affine.shift)), a(grid.Spread(affine.a)), b(grid.Spread(affine.b)) {}
};

template <bool has_shortcut>
INLINED void NormalizeBlock(const Block& block, const float* __restrict x,
                            const float* __restrict shortcut, const float* __restrict shift,
                            const float* __restrict a, const float* __restrict b, Bounds bounds,
                            float* __restrict y) {
  for (int64_t row = 0; row < block.height; ++row) {
    for (int64_t i = 0; i < block.width; ++i) {
      const int64_t at = row * block.width + i;
      float z = (x[at] - shift[i]) * a[i] + b[i];
      if (has_shortcut) z += shortcut[at];
      z = z < bounds.low ? bounds.low : z;
      y[at] = z > bounds.high ? bounds.high : z;
    }
  }
}

FOR_EACH_VECTOR_UNIT
void NormalizeBlock(const Block& block, const float* x, const float* shortcut,
                    const Columns& columns, Bounds bounds, float* y) {
  const float* const shift = &columns.shift[block.column];
  const float* const a = &columns.a[block.column];
  const float* const b = &columns.b[block.column];
  if (shortcut == nullptr) {
    NormalizeBlock<false>(block, x, nullptr, shift, a, b, bounds, y);
  } else {
    NormalizeBlock<true>(block, x, shortcut, shift, a, b, bounds, y);
  }
}

template <bool has_y, bool has_dz>
INLINED void InputGradBlock(const Block& block, Upstream upstream, const float* __restrict x,
                            const float* __restrict dz_scale, const float* __restrict shift,
                            const float* __restrict a, const float* __restrict b,
                            float* __restrict dx, float* __restrict dz) {
  const auto [dy, y, bounds] = upstream;
  for (int64_t row = 0; row < block.height; ++row) {
    for (int64_t i = 0; i < block.width; ++i) {
      const int64_t at = row * block.width + i;
      const float upstream_dz = Dz<has_y>(dy, y, bounds, at);
      dx[at] = upstream_dz * dz_scale[i] + ((x[at] - shift[i]) * a[i] + b[i]);
      if (has_dz) dz[at] = upstream_dz;
    }
  }
}

FOR_EACH_VECTOR_UNIT
void InputGradBlock(const Block& block, Upstream upstream, const float* x, const float* dz_scale,
                    const Columns& columns, float* dx, float* dz) {
  const float* const scale = dz_scale + block.column;
  const float* const shift = &columns.shift[block.column];
  const float* const a = &columns.a[block.column];
  const float* const b = &columns.b[block.column];
  if (upstream.y == nullptr) {
    InputGradBlock<false, false>(block, upstream, x, scale, shift, a, b, dx, nullptr);
  } else if (dz == nullptr) {
    InputGradBlock<true, false>(block, upstream, x, scale, shift, a, b, dx, nullptr);
  } else {
    InputGradBlock<true, true>(block, upstream, x, scale, shift, a, b, dx, dz);
  }
}

Upstream At(const Upstream& upstream, int64_t start) {
  return {upstream.dy + start, upstream.y ? upstream.y + start : nullptr, upstream.bounds};
}

}  // namespace

void Passes::Moments(const float* x, Sums* mean, Sums* variance) const {
  const Grid grid(view_);
  // Sums of the differences to the first value: exact enough however large the mean is.
  std::vector<float> first(view_.channels);
  for (int64_t c = 0; c < view_.channels; ++c) first[c] = x[c * view_.inner];
  const std::vector<float> shift = grid.Spread(first);
  SumUp<2>(view_, pool_, grid, {mean, variance},
           [&](const Block& block, double* sums, int64_t columns) {
             MomentsOf(block, x + block.start, &shift[block.column], sums, columns);
           });
  const double n = view_.count();
  for (int64_t c = 0; c < view_.channels; ++c) {
    const double offset = (*mean)[c] / n;
    const double raw = (*variance)[c] / n - offset * offset;
    (*mean)[c] = first[c] + offset;
    (*variance)[c] = raw < 0 ? 0 : raw;
  }
}

void Passes::Normalize(const float* x, const float* shortcut, const Affine& affine, Bounds bounds,
                       float* y) const {
  const Grid grid(view_);
  const Columns columns(grid, affine);
  ForEachPart(grid.PartsFor(*pool_), pool_, [&](int64_t part, int64_t parts) {
    grid.VisitPart(part, parts, [&](const Block& block) {
      NormalizeBlock(block, x + block.start, shortcut ? shortcut + block.start : nullptr, columns,
                     bounds, y + block.start);
    });
  });
}

void Passes::GradSums(const Upstream& upstream, const float* x, const float* shift, Sums* sum_dz,
                      Sums* sum_x, Sums* sum_dz_x) const {
  const Grid grid(view_);
  const std::vector<float> shifts = grid.Spread(shift);
  SumUp<3>(view_, pool_, grid, {sum_dz, sum_x, sum_dz_x},
           [&](const Block& block, double* sums, int64_t columns) {
             GradSumsOf(block, At(upstream, block.start), x + block.start, &shifts[block.column],
                        sums, columns);
           });
}

void Passes::InputGrad(const Upstream& upstream, const float* x,
                       const std::vector<float>& dz_scale, const Affine& affine, float* dx,
                       float* dz) const {
  const Grid grid(view_);
  const Columns columns(grid, affine);
  const std::vector<float> scales = grid.Spread(dz_scale);
  ForEachPart(grid.PartsFor(*pool_), pool_, [&](int64_t part, int64_t parts) {
    grid.VisitPart(part, parts, [&](const Block& block) {
      InputGradBlock(block, At(upstream, block.start), x + block.start, scales.data(), columns,
                     dx + block.start, dz ? dz + block.start : nullptr);
    });
  });
}

}  // namespace resbatchnorm
