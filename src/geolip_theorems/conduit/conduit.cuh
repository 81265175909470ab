// The conduit for N x N matrices, N = 2..16, one matrix a thread, and the repair of what fails.
//
// The order of operations is reference.py's, in the repair numba_jacobi.py's: where no a * b + c is contracted
// and divisions and roots are rounded correctly, every bit is the CPU's. A plain C++ compiler takes it too.
// N, OFFSETS, Search and the constants in capitals are defined before this text by cuda_backend.source.

#ifdef __CUDACC__
#define DEVICE __device__
#define APART __noinline__ __device__  // what is rare: its registers are not the path's
#define KERNEL extern "C" __global__ void __launch_bounds__(BLOCK)
#define EACH_ROW if (long long row = blockIdx.x * (long long)BLOCK + threadIdx.x; row < batch)
#define INFINITE __int_as_float(0x7f800000)
#else
#include <cmath>
using std::fabs, std::sqrt;
#define DEVICE static inline
#define APART static
#define KERNEL extern "C" void
#define EACH_ROW for (long long row = 0; row < batch; row++)
#define INFINITE HUGE_VALF
#endif

// A matrix is in registers, which have no index, where every loop over it is unrolled; else the innermost sums
// are, for several loads at once. A factor far above the number of turns costs NVRTC minutes for sm_100.
constexpr int UNROLLED = N <= IN_REGISTERS ? N + 1 : 1;
#define UNROLL _Pragma("unroll UNROLLED")
#define EACH(i) UNROLL for (int i = 0; i < N; i++)
#define EACH_ENTRY(i, j) EACH(i) EACH(j)
#define ALONG(k) _Pragma("unroll N") for (int k = 0; k < N; k++)

typedef float Single[N][N];
typedef double Double[N][N];

DEVICE float squared(float x) { return x * x; }

// Z = X Y, X^T Y or X Y^T: each entry summed in ascending order of the inner index.
enum Turned { NONE, FIRST, SECOND };
template <Turned turned> DEVICE void product(const Single &X, const Single &Y, Single &Z) {
  EACH_ENTRY(i, j) {
    float total = 0;
    ALONG(k) {
      float term = (turned == FIRST ? X[k][i] : X[i][k]) * (turned == SECOND ? Y[j][k] : Y[k][j]);
      total = k ? total + term : term;
    }
    Z[i][j] = total;
  }
}

// Whether excess = ||V^T V - I||_F and ||U - V L V^T||_F pass.
DEVICE bool judge(const Single &U, const Single &V, const float (&L)[N], float &excess) {
  Single X, Y;
  float misfit = 0, square = 0;
  product<FIRST>(V, V, Y);
  EACH_ENTRY(i, j) square += squared(Y[i][j] - float(i == j));
  excess = sqrt(square);
  EACH_ENTRY(i, j) X[i][j] = V[i][j] * L[j];
  product<SECOND>(X, V, Y);
  EACH_ENTRY(i, j) misfit += squared(U[i][j] - Y[i][j]);
  return excess <= TEST_LIMIT && sqrt(misfit) <= TEST_LIMIT;
}

// max(||A||_F / sqrt(N), SMALLEST_SCALE): eight running sums, and what is left over.
DEVICE float scale_of(const Single &A) {
  float largest = 0, total = 0, sums[8] = {};
  EACH_ENTRY(i, j) if (fabs(A[i][j]) > largest) largest = fabs(A[i][j]);
  float unit = largest > 0x1p60f ? 0x1p-70f : 1.0f;
  EACH_ENTRY(i, j) if (i * N + j < N * N / 8 * 8) sums[(i * N + j) % 8] += squared(A[i][j] * unit);
  _Pragma("unroll 8") for (int p = 0; p < 8; p++) total += sums[p];
  EACH_ENTRY(i, j) if (i * N + j >= N * N / 8 * 8) total += squared(A[i][j] * unit);
  float s = sqrt(total) / unit / ROOT_OF_N;
  return s < SMALLEST_SCALE ? SMALLEST_SCALE : s;
}

// Column j of Faddeev-LeVerrier's M_k = D M_(k-1) + c I from the last one's; M_1 = I.
DEVICE void next_column(const Double &D, double c, int k, int j, const double (&last)[N], double (&next)[N]) {
  EACH(i) {
    double total = D[i][j];
    if (k > 2) ALONG(m) total = m ? total + D[i][m] * last[m] : D[i][m] * last[m];
    next[i] = i == j ? total + c : total;
  }
}

DEVICE void coefficients_of(const Double &D, double (&c)[N + 1]) {
  Double M;  // by columns
  c[N] = 1;
  UNROLL for (int k = 1; k <= N; k++) {
    double trace = 0;
    EACH(j) {
      double column[N];
      next_column(D, c[N - k + 1], k, j, M[j], column);
      EACH(i) M[j][i] = k > 1 ? column[i] : i == j;
    }
    EACH_ENTRY(i, j) trace += D[i][j] * M[j][i];
    c[N - k] = -trace / k;
  }
}

// Laguerre's iteration from the sorted diagonal, with what an observer sees of it, and deflation.
template <typename Real>
DEVICE void search(const double (&c)[N + 1], float (&start)[N], double (&roots)[N], float (&friction)[N],
                   float (&settle)[N]) {
  constexpr Real offsets[] = OFFSETS;
  Real q[N + 1];
  UNROLL for (int last = N - 1; last > 0; last--)
    UNROLL for (int i = 0; i < last; i++) {
      float a = start[i], b = start[i + 1];
      start[i] = b < a ? b : a;
      start[i + 1] = b < a ? a : b;
    }
  UNROLL for (int j = 0; j <= N; j++) q[j] = Real(c[j]);
  EACH(r) {
    const int degree = N - r;
    Real x = Real(start[r]) + offsets[r];
    friction[r] = 0;
    settle[r] = LAGUERRE_STEPS;
    _Pragma("unroll 1") for (int step = 0; step < LAGUERRE_STEPS; step++) {
      Real p = q[degree], dp = 0, half_d2 = 0;
      UNROLL for (int j = degree - 1; j >= 0; j--) {
        half_d2 = half_d2 * x + dp;
        dp = dp * x + p;
        p = p * x + q[j];
      }
      friction[r] += 1 / (float(fabs(dp)) + FRICTION_DELTA);
      if (float(fabs(p)) < SETTLE_THRESHOLD && settle[r] == LAGUERRE_STEPS) settle[r] = step;
      bool ok = fabs(p) > Real(1e-30);
      Real divisor = ok ? p : Real(1);
      Real G = ok ? dp / divisor : Real(0);
      Real H = G * G - (ok ? 2 * half_d2 / divisor : Real(0));
      Real inner = Real(degree - 1) * (Real(degree) * H - G * G);
      Real root = sqrt(inner < 0 ? Real(0) : inner), plus = G + root, minus = G - root;
      Real denominator = fabs(plus) >= fabs(minus) ? plus : minus;
      ok = fabs(denominator) > Real(1e-20);
      x = x - (ok ? Real(degree) * (1 / (ok ? denominator : Real(1))) : Real(0));
    }
    roots[r] = x;
    Real quotient = q[degree];
    UNROLL for (int j = degree - 1; j > 0; j--) {
      Real following = q[j] + x * quotient;
      q[j] = quotient;
      quotient = following;
    }
    q[0] = quotient;
  }
}

DEVICE double polished(const double (&c)[N + 1], double x) {
  _Pragma("unroll 1") for (int step = 0; step < POLISH_STEPS; step++) {
    double p = 1, dp = 0;
    UNROLL for (int j = N - 1; j >= 0; j--) {
      dp = dp * x + p;
      p = p * x + c[j];
    }
    bool ok = fabs(dp) > 1e-30;
    x = x - (ok ? p / (ok ? dp : 1) : 0);
  }
  return x;
}

// The largest column of each root's adjugate, normalised. Column j of every M is made again: all M are N^3.
DEVICE void adjugates(const Double &D, const double (&c)[N + 1], const double (&roots)[N], Single &V) {
  double largest[N], best[N][N];
  EACH(j) {
    Double M;  // M[k - 1]: column j of M_k
    EACH(i) M[0][i] = i == j;
    UNROLL for (int k = 2; k <= N; k++) next_column(D, c[N - k + 1], k, j, M[k - 2], M[k - 1]);
    EACH(r) {
      double column[N], square = 0;
      EACH(i) {
        column[i] = M[0][i];
        UNROLL for (int k = 1; k < N; k++) column[i] = column[i] * roots[r] + M[k][i];
        square += column[i] * column[i];
      }
      if (j == 0 || square > largest[r]) {
        largest[r] = square;
        EACH(i) best[r][i] = column[i];
      }
    }
  }
  EACH(r) {
    double inverse = 1 / (sqrt(largest[r]) + 1e-30);
    EACH(i) V[i][r] = float(best[r][i] * inverse);
  }
}

// V = V times about (V^T V)^(-1/2).
DEVICE void newton_schulz(Single &V) {
  Single T, X, Y;
  product<FIRST>(V, V, Y);
  EACH_ENTRY(i, j) T[i][j] = 3 * float(i == j) - Y[i][j];
  product<NONE>(T, Y, X);
  EACH_ENTRY(i, j) Y[i][j] = 3 * float(i == j) - 0.5f * X[i][j];
  EACH_ENTRY(i, j) X[i][j] = 0.5f * T[i][j];
  product<NONE>(X, Y, T);
  EACH_ENTRY(i, j) T[i][j] = 0.5f * T[i][j];
  product<NONE>(V, T, Y);
  EACH_ENTRY(i, j) V[i][j] = Y[i][j];
}

// Column j with the sign that makes its entry of largest magnitude positive.
DEVICE void store(const Single &V, int j, float *column) {
  float decisive = V[0][j];
  EACH(i) if (fabs(V[i][j]) > fabs(decisive)) decisive = V[i][j];
  EACH(i) column[i * N] = decisive < 0 ? -V[i][j] : V[i][j];
}

struct Path {
  Single U, V;  // A / s, the eigenvectors
  double c[N + 1];
  float s, values[N], friction[N], settle[N];
  int place[N];  // in ascending order; NaN as infinity, equals as they are
};

DEVICE void follow(const Single &A, Path &path) {
  double roots[N];
  float key[N];
  Double D;
  Single Y;
  path.s = scale_of(A);
  EACH_ENTRY(i, j) D[i][j] = path.U[i][j] = A[i][j] / path.s;
  coefficients_of(D, path.c);
  EACH(i) key[i] = path.U[i][i];
  search<Search>(path.c, key, roots, path.friction, path.settle);
  EACH(r) roots[r] = polished(path.c, roots[r]);
  adjugates(D, path.c, roots, path.V);
  newton_schulz(path.V);
  product<NONE>(A, path.V, Y);
  EACH(j) {
    float total = path.V[0][j] * Y[0][j];
    UNROLL for (int i = 1; i < N; i++) total += path.V[i][j] * Y[i][j];
    path.values[j] = total;
    key[j] = total == total ? total : INFINITE;
  }
  EACH(i) path.place[i] = 0;
  EACH_ENTRY(i, j) path.place[i] += j < i ? key[j] <= key[i] : key[j] < key[i];
}

DEVICE void turn(float &first, float &second, float cosine, float sine) {
  float x = first, y = second;
  first = cosine * x - sine * y;
  second = sine * x + cosine * y;
}

// The rotation that makes entry p < q of B zero: upper triangle only, and V's columns along with it.
DEVICE void rotate(Single &B, Single &V, int p, int q) {
  float apart = B[q][q] - B[p][p], twice = 2 * B[p][q];
  float tangent = twice / (fabs(apart) + sqrt(apart * apart + twice * twice));
  if (apart < 0) tangent = -tangent;
  float cosine = 1 / sqrt(1 + tangent * tangent), sine = tangent * cosine;
  B[p][p] = B[p][p] - tangent * B[p][q];
  B[q][q] = B[q][q] + tangent * B[p][q];
  B[p][q] = 0;
  for (int r = 0; r < N; r++) {
    if (r != p && r != q) turn(r < p ? B[r][p] : B[p][r], r < q ? B[r][q] : B[q][r], cosine, sine);
    turn(V[r][p], V[r][q], cosine, sine);
  }
}

// Eigenpairs by cyclic Jacobi rotations instead of the path's. The status bits of what even they leave undone.
APART int repair(const float *A, float *values, float *vectors) {
  Single U, B, V, Y;
  float L[N], excess;
  double total = 0;
  for (int k = 0; k < N * N; k++) total += double(A[k]) * double(A[k]);
  double scale = sqrt(total / N), inverse = total > 0 ? 1 / scale : 0;
  EACH_ENTRY(i, j) {
    B[i][j] = U[i][j] = float(0.5 * (double(A[i * N + j]) + double(A[j * N + i])) * inverse);
    V[i][j] = i == j;
  }
  bool moved = true;
  for (int sweep = 0; moved && sweep < MOST_SWEEPS; sweep++) {
    moved = false;
    for (int p = 0; p < N - 1; p++)
      for (int q = p + 1; q < N; q++)
        if (fabs(B[p][q]) > NEGLIGIBLE) {
          rotate(B, V, p, q);
          moved = true;
        }
  }
  product<FIRST>(V, V, Y);  // rotations by float32's cosines drift from orthogonal
  EACH_ENTRY(i, j) Y[i][j] = 0.5f * (float(i == j) - Y[i][j]);
  product<NONE>(V, Y, B);
  EACH_ENTRY(i, j) V[i][j] += B[i][j];
  product<NONE>(U, V, Y);
  EACH(j) {
    float along = 0, square = 0;
    EACH(i) along += V[i][j] * Y[i][j];
    EACH(i) square += V[i][j] * V[i][j];
    L[j] = along / square;
  }
  if (!judge(U, V, L, excess)) return LEFT;
  int status = 0;
  EACH(j) {
    int place = 0;
    EACH(i) place += L[i] < L[j] || (i < j && L[i] == L[j]);
    values[place] = float(L[j] * scale);
    if (!(fabs(values[place]) < INFINITE)) status = OVERFLOW;
    store(V, j, vectors + place);
  }
  return status;
}

KERNEL solve(long long batch, const float *A, float *values, float *vectors, float *coefficients, float *friction,
             float *settle, float *residual, bool *rescued, unsigned char *status) {
  EACH_ROW {
    Single B;
    Path path;
    EACH_ENTRY(i, j) B[i][j] = A[row * N * N + i * N + j];
    follow(B, path);
    float skew = 0, L[N];
    EACH(j) {
      long long place = row * N + path.place[j];
      values[place] = path.values[j];
      friction[place] = path.friction[j];
      settle[place] = path.settle[j];
      coefficients[row * N + j] = float(path.c[j]);
      store(path.V, j, vectors + row * N * N + path.place[j]);
      L[j] = path.values[j] * (1 / path.s);
    }
    EACH_ENTRY(i, j) skew += squared(path.U[i][j] - path.U[j][i]);
    bool sized = path.s > SMALLEST_SCALE, clear = skew <= SUSPECT_ASYMMETRY * N && sized && path.s * 0 == 0;
    rescued[row] = !(judge(path.U, path.V, L, residual[row]) && sized);
    status[row] = clear ? 0 : SUSPECT;
    if (rescued[row]) status[row] |= repair(A + row * N * N, values + row * N, vectors + row * N * N);
  }
}

// friction and settle of Vt^T diag(S^2) Vt, which is nowhere stored.
KERNEL telemetry(long long batch, const float *Vt, const float *S, float *friction, float *settle) {
  EACH_ROW {
    Single W, A;
    Path path;
    EACH_ENTRY(i, j) W[i][j] = Vt[row * N * N + i * N + j] * S[row * N + i];
    product<FIRST>(W, W, A);
    follow(A, path);
    EACH(j) {
      friction[row * N + path.place[j]] = path.friction[j];
      settle[row * N + path.place[j]] = path.settle[j];
    }
  }
}
