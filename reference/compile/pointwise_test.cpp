// SPDX-License-Identifier: Apache-2.0
// Values by hand, and every gradient against central differences of its value.
#include "reference/compile/pointwise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <vector>

namespace assay::reference::compile {
namespace {

using Vector = std::vector<double>;

std::mt19937_64 generator(23);

Vector random_vector(std::size_t size, double deviation = 1.0) {
  std::normal_distribution<double> normal(0.0, deviation);
  Vector v(size);
  for (double& x : v) x = normal(generator);
  return v;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Each entry against (f(x + h) − f(x − h)) / 2h; h = 1e-5 leaves about 1e-10 of rounding and truncation.
void expect_derivative(const Vector& gradient, Vector& x, const std::function<double()>& value,
                       const char* what) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(gradient.size(), x.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double at = x[i];
    x[i] = at + kStep;
    const double above = value();
    x[i] = at - kStep;
    const double below = value();
    x[i] = at;
    EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 1e-8) << what << " [" << i << "]";
    largest = std::max(largest, std::fabs(gradient[i]));
  }
  EXPECT_GT(largest, 1e-2) << what << ": gradients of about zero would agree with anything";
}

TEST(PointwiseReference, rms_norm_by_hand) {
  // mean of squares (9 + 16) / 2 = 12.5, eps 3.5: root of 16.
  const Vector h = {3.0, -4.0}, w = {2.0, 0.5};
  Vector y(2);
  rms_norm(h, w, 3.5, y);
  EXPECT_DOUBLE_EQ(y[0], 1.5);
  EXPECT_DOUBLE_EQ(y[1], -0.5);
  EXPECT_DOUBLE_EQ(inverse_rms(h, 3.5), 0.25);
}

TEST(PointwiseReference, rms_norm_gradient) {
  for (const double eps : {1e-6, 2.0}) {  // also where eps counts as much as the row
    Vector h = random_vector(7), w = random_vector(7), y(7), dh(7), dw(7, 0.25);
    const Vector dy = random_vector(7);
    const auto value = [&] {
      rms_norm(h, w, eps, y);
      return dot(y, dy);
    };
    rms_norm_backward(h, w, eps, dy, dh, dw);
    for (double& each : dw) each -= 0.25;  // it adds
    expect_derivative(dw, w, value, "w");
    expect_derivative(dh, h, value, "h");
  }
}

TEST(PointwiseReference, the_gradient_of_a_norm_is_orthogonal_to_its_row_without_eps) {
  const Vector h = random_vector(9), w = random_vector(9), dy = random_vector(9);
  Vector dh(9), dw(9);
  rms_norm_backward(h, w, 0.0, dy, dh, dw);
  EXPECT_NEAR(dot(h, dh), 0.0, 1e-13);
}

TEST(PointwiseReference, rotation_by_hand) {
  // Position 2, frequency π/4: a quarter turn of elements 0 and 2. Frequency 0: elements 1 and 3 stay.
  const Vector x = {1.0, 2.0, 3.0, 4.0}, frequency = {std::numbers::pi / 4, 0.0};
  Vector out(4);
  rotate(x, 2.0, frequency, out);
  EXPECT_NEAR(out[0], -3.0, 1e-15);
  EXPECT_NEAR(out[1], 2.0, 1e-15);
  EXPECT_NEAR(out[2], 1.0, 1e-15);
  EXPECT_NEAR(out[3], 4.0, 1e-15);
}

TEST(PointwiseReference, rotations_keep_lengths_add_up_and_turn_back) {
  const Vector x = random_vector(12), frequency = random_vector(6);
  Vector once(12), twice(12), at_once(12), back(12);
  rotate(x, 5.0, frequency, once);
  EXPECT_NEAR(dot(once, once), dot(x, x), 1e-12);
  rotate(once, 3.0, frequency, twice);
  rotate(x, 8.0, frequency, at_once);
  rotate_backward(once, 5.0, frequency, back);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(twice[i], at_once[i], 1e-12);
    EXPECT_NEAR(back[i], x[i], 1e-12);
  }
}

TEST(PointwiseReference, rotation_gradient) {
  Vector x = random_vector(10);
  const Vector frequency = random_vector(5), dout = random_vector(10);
  Vector out(10), dx(10);
  rotate_backward(dout, 7.0, frequency, dx);
  expect_derivative(
      dx, x,
      [&] {
        rotate(x, 7.0, frequency, out);
        return dot(out, dout);
      },
      "x");
}

TEST(PointwiseReference, swiglu_by_hand) {
  EXPECT_EQ(swiglu(0.0, 5.0), 0.0);
  EXPECT_NEAR(swiglu(std::log(3.0), 4.0), 3.0 * std::log(3.0), 1e-15);  // σ(log 3) = 3/4
  EXPECT_NEAR(swiglu(100.0, 2.0), 200.0, 1e-12);
  EXPECT_NEAR(swiglu(-100.0, 2.0), 0.0, 1e-40);
}

TEST(PointwiseReference, swiglu_gradient) {
  for (const double gate : {-20.0, -3.0, -1.2784645, -0.1, 0.0, 0.7, 2.0, 20.0}) {
    constexpr double kUp = -1.3, kUpstream = 0.6, kStep = 1e-5;
    const SwigluGradient g = swiglu_backward(gate, kUp, kUpstream);
    EXPECT_NEAR(g.gate, kUpstream * (swiglu(gate + kStep, kUp) - swiglu(gate - kStep, kUp)) / (2 * kStep),
                1e-9);
    EXPECT_NEAR(g.up, kUpstream * (swiglu(gate, kUp + kStep) - swiglu(gate, kUp - kStep)) / (2 * kStep),
                1e-9);
  }
}

}  // namespace
}  // namespace assay::reference::compile
