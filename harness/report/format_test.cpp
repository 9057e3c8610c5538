// SPDX-License-Identifier: Apache-2.0
// Printed figures never claim more than was measured, and no text can break out of its cell.
#include "harness/report/format.hpp"

#include <gtest/gtest.h>

namespace assay::harness::report {
namespace {

TEST(Format, times_take_the_unit_that_fits) {
  EXPECT_EQ(time_text(812), "812 ns");
  EXPECT_EQ(time_text(999.6), "1.00 µs");
  EXPECT_EQ(time_text(52160), "52.2 µs");
  EXPECT_EQ(time_text(3.412e6), "3.41 ms");
  EXPECT_EQ(time_text(1.2e9), "1.20 s");
}

TEST(Format, bytes_take_the_unit_that_fits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.00 KiB");
  EXPECT_EQ(bytes_text(29'491'200), "28.1 MiB");
}

TEST(Format, interval_bounds_are_rounded_outwards) {
  EXPECT_EQ(interval_text({1.444, 1.4399, 1.4401, 0.95, 64}), "1.44x [1.43, 1.45]");
  EXPECT_EQ(interval_text({1.15, 1.1499, 1.15, 0.95, 64}), "1.15x [1.14, 1.15]");
  EXPECT_EQ(interval_text({20.04, 20.04, 20.06, 0.95, 64}), "20.0x [20.0, 20.1]");
}

TEST(Format, bounds_that_are_round_stay_as_they_are) {
  EXPECT_EQ(interval_text({1.44, 1.43, 1.45, 0.95, 64}), "1.44x [1.43, 1.45]");
  EXPECT_EQ(interval_text({1.16, 1.15, 1.17, 0.95, 64}), "1.16x [1.15, 1.17]");
}

TEST(Format, ratios_near_one_show_per_mille) {
  EXPECT_EQ(interval_text({1.011, 1.00896, 1.0131, 0.95, 64}), "1.011x [1.008, 1.014]");
  EXPECT_EQ(ratio_text(0.9987), "0.999x");
}

TEST(Format, long_counts_are_grouped) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(58'720'256), "58\u202f720\u202f256");
  EXPECT_EQ(count_text(-1000), "-1\u202f000");
}

TEST(Format, html_cannot_be_injected) {
  EXPECT_EQ(escape_html("<b onclick=\"x\">&'"), "&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;");
}

TEST(Format, markdown_cells_hold_what_is_put_in) {
  EXPECT_EQ(escape_markdown("a|b\nc<d*"), "a\\|b c&lt;d\\*");
}

}  // namespace
}  // namespace assay::harness::report
