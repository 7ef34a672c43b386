/**
 * GLSL for long sums of float32 numbers: what each addition rounds off is added to the next
 * term, so that a sum in which large terms cancel is still right. Where a compiler reorders
 * additions, it is an ordinary sum.
 *
 * Source: Kahan, "Further remarks on reducing truncation errors", 1965.
 */
export const sum = `
  struct Sum {
    vec4 value;
    // By how much the value is too large.
    vec4 excess;
  };

  void add(inout Sum sum, vec4 term) {
    vec4 corrected = term - sum.excess;
    vec4 next = sum.value + corrected;
    sum.excess = (next - sum.value) - corrected;
    sum.value = next;
  }
`;
