"""How much a query's real values disagree with 32 binary codes at once: four bits of a code look one sum up in a table.

A bit that differs from the query's own costs the magnitude of the query's value, so that the sum over the bits orders
codes as their inner product with the query does (asymmetric distance: Gordo et al., TPAMI 2014). Tables of 16 bytes for
every four bits are looked up by the processor's byte shuffle, as in product quantisation (André et al., VLDB 2015), in
less time than a popcount of AVX2 takes.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from localize.kernels.vector_code import BLOCK, pointer, splat

WORDS = (2, 4, 8, 16)  # of a code: 128, 256, 512, 1024 bits
FAR = 255  # the largest sum, and all beyond
REACH = 0.5  # share of what all bits cost together that FAR stands for: about what a random code costs
ENTRIES = 16  # of the table of four bits

_I8, _I16, _I32, _I64 = (ir.IntType(n) for n in (8, 16, 32, 64))
_BYTES, _TABLE = ir.VectorType(_I8, BLOCK), ir.VectorType(_I8, ENTRIES)
_SET = (np.arange(ENTRIES) >> np.arange(4)[:, None] & 1).astype(np.float32)  # whether bit i of entry v is 1
_SHUFFLES = {"+avx2": ("llvm.x86.avx2.pshuf.b", 32), "+neon": ("llvm.aarch64.neon.tbl1.v16i8", 16)}


@njit(nogil=True, cache=True)
def fill_tables(projected, thresholds, tables):
    """Tables (Q, K / 4, 16) uint8 of queries (Q, K') float32: entry v of table n is what bits 4 n .. 4 n + 3 = v cost.

    Costs are in units of the query: FAR stands for REACH of what all bits cost together. Bits beyond K' cost nothing.
    """
    zero, more = np.zeros((2, 4 * tables.shape[1]), np.float32)  # what a bit costs if it is 0, and more if it is 1
    for q in range(projected.shape[0]):
        total = np.float32(0)
        for k in range(projected.shape[1]):
            total += abs(projected[q, k] - thresholds[k])
        unit = np.float32(FAR / REACH) / total if total > 0 else np.float32(0)
        for k in range(projected.shape[1]):
            value = unit * (projected[q, k] - thresholds[k])
            zero[k], more[k] = max(value, np.float32(0)), -value
        for n in range(tables.shape[1]):
            k, table = 4 * n, tables[q, n]
            half = zero[k] + zero[k + 1] + zero[k + 2] + zero[k + 3] + np.float32(0.5)
            m0, m1, m2, m3 = more[k], more[k + 1], more[k + 2], more[k + 3]
            for v in range(ENTRIES):  # in vectors of float32
                cost = half + _SET[0, v] * m0 + _SET[1, v] * m1 + _SET[2, v] * m2 + _SET[3, v] * m3
                table[v] = np.uint8(np.int32(min(cost, np.float32(FAR + 0.5))))


def tables_of(projected: np.ndarray, thresholds: np.ndarray, words: int) -> np.ndarray:
    """As `fill_tables`, for codes of so many 64-bit words."""
    tables = np.empty((len(projected), 16 * words, ENTRIES), np.uint8)
    fill_tables(projected, thresholds, tables)
    return tables


@intrinsic
def sums_of_block(typingctx, width, codes, at, tables, tables_at, limit, sums):
    """Write the sums (BLOCK,) uint8 of a block's codes; a mask of those up to the limit (0..255), bit i for code i.

    width: a tuple of as many items as a code has words, so that each number of words gets a loop of its own. codes,
    tables: flat uint8, the block begins at `at`, the query's tables at `tables_at`.
    """

    def codegen(context, builder, signature, arguments):
        _, codes, at, tables, tables_at, limit, sums = arguments

        def place(number, array, index):
            return pointer(context, builder, signature.args[number], array, index)

        def load(number, array, begin, offset, kind):
            address = place(number, array, builder.add(begin, ir.Constant(_I64, offset)))
            return builder.load(builder.bitcast(address, kind.as_pointer()), align=1)

        shuffled, binary = _shuffler(context, builder), ir.FunctionType(_BYTES, [_BYTES, _BYTES])
        saturating = cgutils.get_or_insert_function(builder.module, binary, f"llvm.uadd.sat.v{BLOCK}i8")
        low, halves = ir.Constant(_BYTES, [15] * BLOCK), ir.VectorType(_I16, BLOCK // 2)
        totals = [ir.Constant(_BYTES, [0] * BLOCK)] * 2
        for k in range(8 * width.count):
            both = load(1, codes, at, BLOCK * k, _BYTES)
            upper = builder.lshr(builder.bitcast(both, halves), ir.Constant(halves, [4] * (BLOCK // 2)))
            for i, nibbles in enumerate((both, builder.bitcast(upper, _BYTES))):
                table = load(3, tables, tables_at, ENTRIES * (2 * k + i), _TABLE)
                totals[i] = builder.call(saturating, [totals[i], shuffled(table, builder.and_(nibbles, low))])
        total = builder.call(saturating, totals)
        address = place(6, sums, ir.Constant(_I64, 0))
        builder.store(total, builder.bitcast(address, _BYTES.as_pointer()), align=1)
        mask = builder.icmp_unsigned("<=", total, splat(builder, builder.trunc(limit, _I8), _BYTES))
        return builder.zext(builder.bitcast(mask, ir.IntType(BLOCK)), _I64)

    arrays = codes, types.int64, tables, types.int64, types.int64, sums
    return types.uint64(width, *arrays), codegen


def _shuffler(context, builder):
    """(table of 16 bytes, indices below 16) -> the entries, by the instruction that the processor compiled for has."""
    features = context.codegen().magic_tuple()[2]
    name, lanes = next((found for has, found in _SHUFFLES.items() if has in features.split(",")), (None, ENTRIES))
    if name is None:
        return lambda table, indices: _selected(builder, table, indices)
    kind = ir.VectorType(_I8, lanes)
    look_up = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind, kind]), name)

    def part(vector, first, size):
        numbers = [(first + i) % vector.type.count for i in range(size)]
        chosen = ir.Constant(ir.VectorType(_I32, size), numbers)
        return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), chosen)

    def shuffled(table, indices):
        repeated = part(table, 0, lanes)
        parts = [builder.call(look_up, [repeated, part(indices, i, lanes)]) for i in range(0, BLOCK, lanes)]
        if len(parts) == 1:
            return parts[0]
        return builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(_I32, BLOCK), list(range(BLOCK))))

    return shuffled


def _selected(builder, table, indices):
    """The entries without a byte shuffle: slowly, on any processor."""
    found = ir.Constant(_BYTES, [0] * BLOCK)
    for v in range(ENTRIES):
        entry = splat(builder, builder.extract_element(table, ir.Constant(_I32, v)), _BYTES)
        here = builder.icmp_unsigned("==", indices, ir.Constant(_BYTES, [v] * BLOCK))
        found = builder.select(here, entry, found)
    return found
