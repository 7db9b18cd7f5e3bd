//! SHA-256 of two streams in one loop. A processor can start the next SHA instruction before the
//! last one has finished, so two independent streams take little more time than one
//! (docs/BENCHMARKS.md has the numbers).

const BLOCK: usize = 64;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::BLOCK;

    /// Round constants (FIPS 180-4, section 4.2.2).
    const K: [u32; 64] = [
        0x428a_2f98,
        0x7137_4491,
        0xb5c0_fbcf,
        0xe9b5_dba5,
        0x3956_c25b,
        0x59f1_11f1,
        0x923f_82a4,
        0xab1c_5ed5,
        0xd807_aa98,
        0x1283_5b01,
        0x2431_85be,
        0x550c_7dc3,
        0x72be_5d74,
        0x80de_b1fe,
        0x9bdc_06a7,
        0xc19b_f174,
        0xe49b_69c1,
        0xefbe_4786,
        0x0fc1_9dc6,
        0x240c_a1cc,
        0x2de9_2c6f,
        0x4a74_84aa,
        0x5cb0_a9dc,
        0x76f9_88da,
        0x983e_5152,
        0xa831_c66d,
        0xb003_27c8,
        0xbf59_7fc7,
        0xc6e0_0bf3,
        0xd5a7_9147,
        0x06ca_6351,
        0x1429_2967,
        0x27b7_0a85,
        0x2e1b_2138,
        0x4d2c_6dfc,
        0x5338_0d13,
        0x650a_7354,
        0x766a_0abb,
        0x81c2_c92e,
        0x9272_2c85,
        0xa2bf_e8a1,
        0xa81a_664b,
        0xc24b_8b70,
        0xc76c_51a3,
        0xd192_e819,
        0xd699_0624,
        0xf40e_3585,
        0x106a_a070,
        0x19a4_c116,
        0x1e37_6c08,
        0x2748_774c,
        0x34b0_bcb5,
        0x391c_0cb3,
        0x4ed8_aa4a,
        0x5b9c_ca4f,
        0x682e_6ff3,
        0x748f_82ee,
        0x78a5_636f,
        0x84c8_7814,
        0x8cc7_0208,
        0x90be_fffa,
        0xa450_6ceb,
        0xbef9_a3f7,
        0xc671_78f2,
    ];

    pub fn is_available() -> bool {
        is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1")
    }

    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn load(bytes: &[u8; 16]) -> __m128i {
        let word = i128::from_le_bytes(*bytes);
        let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        _mm_shuffle_epi8(_mm_set_epi64x((word >> 64) as i64, word as i64), swap)
    }

    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn pack(state: &[u32; 8]) -> [__m128i; 2] {
        let [a, b, c, d, e, f, g, h] = state.map(|word| word as i32);
        [_mm_set_epi32(a, b, e, f), _mm_set_epi32(c, d, g, h)]
    }

    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn unpack([abef, cdgh]: [__m128i; 2]) -> [u32; 8] {
        [
            _mm_extract_epi32(abef, 3),
            _mm_extract_epi32(abef, 2),
            _mm_extract_epi32(cdgh, 3),
            _mm_extract_epi32(cdgh, 2),
            _mm_extract_epi32(abef, 1),
            _mm_extract_epi32(abef, 0),
            _mm_extract_epi32(cdgh, 1),
            _mm_extract_epi32(cdgh, 0),
        ]
        .map(|word| word as u32)
    }

    /// The next four words of the message schedule, from the previous sixteen, oldest first.
    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn schedule(oldest: __m128i, older: __m128i, newer: __m128i, newest: __m128i) -> __m128i {
        let sum =
            _mm_add_epi32(_mm_sha256msg1_epu32(oldest, older), _mm_alignr_epi8::<4>(newest, newer));
        _mm_sha256msg2_epu32(sum, newest)
    }

    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    pub fn compress(
        one: &mut [u32; 8],
        blocks: &[[u8; BLOCK]],
        other: &mut [u32; 8],
        others: &[[u8; BLOCK]],
    ) {
        let mut state = [pack(one), pack(other)];
        for pair in blocks.iter().zip(others) {
            let pair = [pair.0, pair.1];
            let before = state;
            let [[mut a0, mut c0], [mut a1, mut c1]] = state;
            let [mut w0, mut w1] = pair.map(|block| {
                let (quarters, _) = block.as_chunks::<16>();
                [load(&quarters[0]), load(&quarters[1]), load(&quarters[2]), load(&quarters[3])]
            });
            // Unrolled, so that all state stays in registers and the instructions of the two
            // streams alternate.
            macro_rules! rounds {
                ($($group:literal)*) => { $(
                    let constants = _mm_set_epi32(K[4 * $group + 3] as i32, K[4 * $group + 2] as i32, K[4 * $group + 1] as i32, K[4 * $group] as i32);
                    if $group >= 4 {
                        w0[$group % 4] = schedule(w0[$group % 4], w0[($group + 1) % 4], w0[($group + 2) % 4], w0[($group + 3) % 4]);
                        w1[$group % 4] = schedule(w1[$group % 4], w1[($group + 1) % 4], w1[($group + 2) % 4], w1[($group + 3) % 4]);
                    }
                    let (sum0, sum1) = (_mm_add_epi32(w0[$group % 4], constants), _mm_add_epi32(w1[$group % 4], constants));
                    c0 = _mm_sha256rnds2_epu32(c0, a0, sum0);
                    c1 = _mm_sha256rnds2_epu32(c1, a1, sum1);
                    a0 = _mm_sha256rnds2_epu32(a0, c0, _mm_shuffle_epi32::<0x0e>(sum0));
                    a1 = _mm_sha256rnds2_epu32(a1, c1, _mm_shuffle_epi32::<0x0e>(sum1));
                )* };
            }
            rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            state = [[a0, c0], [a1, c1]];
            for lane in 0..2 {
                for half in 0..2 {
                    state[lane][half] = _mm_add_epi32(state[lane][half], before[lane][half]);
                }
            }
        }
        *one = unpack(state[0]);
        *other = unpack(state[1]);
    }
}

/// [`compress`], or what stands for it in a test.
pub type Compress = fn(&mut [u32; 8], &[[u8; BLOCK]], &mut [u32; 8], &[[u8; BLOCK]]);

/// Whether hashing two streams at once is faster on this processor.
pub fn is_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Hashes blocks of two streams. Both must have the same number of blocks. Use it only if
/// [`is_faster`].
pub fn compress(
    one: &mut [u32; 8],
    blocks: &[[u8; BLOCK]],
    other: &mut [u32; 8],
    others: &[[u8; BLOCK]],
) {
    debug_assert_eq!(blocks.len(), others.len());
    #[cfg(target_arch = "x86_64")]
    if x86::is_available() {
        // SAFETY: the function needs only the instructions that `is_available` has just detected,
        // and takes no pointers.
        #[allow(unsafe_code)]
        unsafe {
            x86::compress(one, blocks, other, others);
        }
        return;
    }
    sha2::block_api::compress256(one, blocks);
    sha2::block_api::compress256(other, others);
}
