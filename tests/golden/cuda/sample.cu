// Weights of dough, summed on a device.
#include <cuda_runtime.h>
#include <cstdio>

#define THREADS 256

namespace bakery {

/** Weight of a bread in grams. */
struct Bread {
  float flour;
  float water;

  __host__ __device__ float weight() const { return flour + water; }
};

__constant__ float factors[8];

/// Sums two numbers, faster than the library does.
__device__ __forceinline__ float add(float a, float b) {
  return a + b;
}

// Sums the weights of each block of breads.
template <typename T>
__global__ void __launch_bounds__(THREADS) sum_weights(const T *breads, float *__restrict__ sums, int count) {
  extern __shared__ float shared[];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  shared[threadIdx.x] = i < count && breads[i].flour > 0 ? breads[i].weight() : 0;
  __syncthreads();
  for (int step = blockDim.x / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) {
      shared[threadIdx.x] = add(shared[threadIdx.x], shared[threadIdx.x + step]);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = shared[0];
  }
}

static __global__
void clear(float *sums)
{
  sums[threadIdx.x] = 0;
}

__host__ __device__ int blocks_of(int count);

}  // namespace bakery

int main(int argc, char **argv) {
  bakery::Bread *breads = nullptr;
  float *sums = nullptr;
  cudaMallocManaged(&breads, argc * sizeof(bakery::Bread));
  bakery::clear<<<1, THREADS>>>(sums);
  bakery::sum_weights<<<dim3(argc), THREADS, THREADS * sizeof(float)>>>(breads, sums, argc);
  return cudaDeviceSynchronize();
}
