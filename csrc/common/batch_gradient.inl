// What the batch gradient of one element of a weight adds to the statistics. Compiled into every instruction-set unit
// and into the CUDA kernel, each of which defines LSWAG_INLINE, square_root(double) and absolute(double) before.
//
// With moments of |g|, Var g = Var |g| + (E |g|)^2 - (E g)^2; the last two cancel exactly where all gradients have one
// sign, since both means were then rounded alike. With moments of g they are equal.
//
// The moments are finite; `weight` may be null. `squared` is the squared_rounding of common/rounding.h.
LSWAG_INLINE bool varies(double variance, double squared) {
  return variance >= kLeastVariance && (variance <= squared * kSquaredBand || variance > squared);
}

LSWAG_INLINE void add_batch_gradient(double mean, double m2, double signed_mean, double count, double xi,
                                     double squared, const double* weight, double* sums) {
  const double magnitude = absolute(signed_mean);
  double variance = m2 / count + (mean - magnitude) * (mean + magnitude);
  if (variance < 0) variance = 0;
  const double noise = variance + xi;
  const double batch_gradient = signed_mean * count;
  const double abs_batch_gradient = magnitude * count;
  if (noise > 0) sums[statistic::sum_gsnr] += signed_mean * signed_mean / noise;
  if (varies(variance, squared)) sums[statistic::sum_mean_abs_over_sigma] += mean / square_root(variance);
  sums[statistic::sum_batch_gradient] += batch_gradient;
  sums[statistic::sum_squared_batch_gradient] += batch_gradient * batch_gradient;
  double& largest = sums[statistic::max_abs_batch_gradient];
  largest = largest < abs_batch_gradient ? abs_batch_gradient : largest;
  if (!weight) return;
  const double product = batch_gradient * *weight;
  sums[statistic::sum_weight_gradient] += product;
  sums[statistic::sum_abs_weight_gradient] += absolute(product);
}
