"""Vector instructions that numba has no names for, as LLVM's own: compiled for the processor at hand, whichever it is.

numba's loops over 64-bit words leave most of the vector units idle; the distance of a query to 16 codes at once needs
popcount on vectors and one mask of the codes that are near (about 25 AVX-512 instructions, 5 times faster).
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 16  # codes compared at once; in memory a block is (words, BLOCK) uint64: word 0 of all, then word 1 of all ...
BYTE_BLOCK = 32  # codes compared at once byte by byte; a block is (bytes, BYTE_BLOCK) uint8

_I1, _I8, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_LANES, _BYTES = ir.VectorType(_I64, BLOCK), ir.VectorType(_I8, BYTE_BLOCK)


@intrinsic
def trailing_zeros(typingctx, word):
    """Position of the lowest one of a uint64 (64 if there is none)."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(_I1, 0))

    return types.uint64(types.uint64), codegen


def _pointer(context, builder, array_type, array, at):
    """Address of element `at` of a contiguous one-dimensional array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [at])


@intrinsic
def prefetch(typingctx, array, at):
    """Ask for the cache line that holds array[at] (one-dimensional, contiguous)."""

    def codegen(context, builder, signature, arguments):
        address = builder.bitcast(_pointer(context, builder, signature.args[0], *arguments), _I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, *(ir.Constant(_I32, v) for v in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _splat(builder, value, kind=_LANES):
    """A vector of this kind with the value in all its lanes."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_I32, 0))
    lanes = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), lanes)


@intrinsic
def popcount(typingctx, word):
    """Number of ones of a uint64."""

    def codegen(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), codegen


def _near_codes(words: int):
    """near(codes, at, query, query_at, limit): which of a block's codes are within a Hamming distance.

    codes: uint64, the block begins at `at`; query: uint64, the code begins at `query_at`. Returns a mask, bit i for
    code i. Nothing is stored, so the compiler keeps the query in registers over all blocks of a leaf.
    """

    @intrinsic
    def near(typingctx, codes, at, query, query_at, limit):
        def codegen(context, builder, signature, arguments):
            codes, at, query, query_at, limit = arguments
            kind = ir.FunctionType(_LANES, [_LANES])
            ones = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{BLOCK}i64")
            distance = None
            for w in range(words):
                place = builder.add(at, ir.Constant(_I64, BLOCK * w))
                address = _pointer(context, builder, signature.args[0], codes, place)
                block = builder.load(builder.bitcast(address, _LANES.as_pointer()), align=8)
                place = builder.add(query_at, ir.Constant(_I64, w))
                word = builder.load(_pointer(context, builder, signature.args[2], query, place))
                differing = builder.call(ones, [builder.xor(block, _splat(builder, word))])
                distance = differing if distance is None else builder.add(distance, differing)
            mask = builder.icmp_signed("<=", distance, _splat(builder, limit))
            return builder.zext(builder.bitcast(mask, ir.IntType(BLOCK)), _I64)

        arrays = codes, types.int64, query, types.int64, types.int64
        return types.uint64(*arrays), codegen

    return near


WORDS = (2, 4, 8, 16)  # of a code: 128, 256, 512, 1024 bits
near_2, near_4, near_8, near_16 = (_near_codes(words) for words in WORDS)


def _near_bytes(num_bytes: int):
    """near(codes, at, query, query_at, limits, limits_at, limit): which of a block's codes are near, by bytes.

    As `_near_codes`, but distances are added up in bytes, so that 32 of them fill one AVX2 register (a fifth faster
    there), and code i is also near within its own limits[limits_at + i]. All arrays are uint8; a distance of 256 counts
    as 255.
    """

    @intrinsic
    def near(typingctx, codes, at, query, query_at, limits, limits_at, limit):
        def codegen(context, builder, signature, arguments):
            codes, at, query, query_at, limits, limits_at, limit = arguments

            def load(array, place, number, kind):
                address = _pointer(context, builder, signature.args[number], array, place)
                return builder.load(builder.bitcast(address, kind.as_pointer()), align=1)

            unary, binary = ir.FunctionType(_BYTES, [_BYTES]), ir.FunctionType(_BYTES, [_BYTES, _BYTES])
            ones = cgutils.get_or_insert_function(builder.module, unary, f"llvm.ctpop.v{BYTE_BLOCK}i8")
            saturating = cgutils.get_or_insert_function(builder.module, binary, f"llvm.uadd.sat.v{BYTE_BLOCK}i8")
            distance = ir.Constant(_BYTES, [0] * BYTE_BLOCK)
            for k in range(num_bytes):
                block = load(codes, builder.add(at, ir.Constant(_I64, BYTE_BLOCK * k)), 0, _BYTES)
                byte = _splat(builder, load(query, builder.add(query_at, ir.Constant(_I64, k)), 2, _I8), _BYTES)
                distance = builder.call(saturating, [distance, builder.call(ones, [builder.xor(block, byte)])])
            ours = builder.icmp_unsigned("<=", distance, _splat(builder, builder.trunc(limit, _I8), _BYTES))
            theirs = builder.icmp_unsigned("<=", distance, load(limits, limits_at, 4, _BYTES))
            return builder.zext(builder.bitcast(builder.or_(ours, theirs), ir.IntType(BYTE_BLOCK)), _I64)

        arrays = codes, types.int64, query, types.int64, limits, types.int64, types.int64
        return types.uint64(*arrays), codegen

    return near


near_16_bytes, near_32_bytes = _near_bytes(16), _near_bytes(32)
