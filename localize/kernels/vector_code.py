"""Vector instructions that numba has no names for, as LLVM's own: compiled for the processor at hand, whichever it is.

numba's loops over 64-bit words leave most of the vector units idle; the distances of a query to 32 codes at once need
vectors of bytes and one mask of the codes that are near.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

BLOCK = 32  # codes compared at once; in memory a block is (bytes, BLOCK) uint8: byte 0 of all, then byte 1 of all ...

LINE = 64  # bytes of a cache line

_I1, _I8, _I32, _I64 = (ir.IntType(n) for n in (1, 8, 32, 64))
_BYTES = ir.VectorType(_I8, BLOCK)


@intrinsic
def trailing_zeros(typingctx, word):
    """Position of the lowest one of a uint64 (64 if there is none)."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(_I1, 0))

    return types.uint64(types.uint64), codegen


def pointer(context, builder, array_type, array, at):
    """Address of element `at` of a contiguous one-dimensional array."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [at])


@intrinsic
def prefetch(typingctx, array, at):
    """Ask for the cache line that holds array[at] (one-dimensional, contiguous)."""

    def codegen(context, builder, signature, arguments):
        address = builder.bitcast(pointer(context, builder, signature.args[0], *arguments), _I8.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, *(ir.Constant(_I32, v) for v in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def splat(builder, value, kind):
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
                address = pointer(context, builder, signature.args[number], array, place)
                return builder.load(builder.bitcast(address, kind.as_pointer()), align=1)

            unary, binary = ir.FunctionType(_BYTES, [_BYTES]), ir.FunctionType(_BYTES, [_BYTES, _BYTES])
            ones = cgutils.get_or_insert_function(builder.module, unary, f"llvm.ctpop.v{BLOCK}i8")
            saturating = cgutils.get_or_insert_function(builder.module, binary, f"llvm.uadd.sat.v{BLOCK}i8")
            distance = ir.Constant(_BYTES, [0] * BLOCK)
            for k in range(num_bytes):
                block = load(codes, builder.add(at, ir.Constant(_I64, BLOCK * k)), 0, _BYTES)
                byte = splat(builder, load(query, builder.add(query_at, ir.Constant(_I64, k)), 2, _I8), _BYTES)
                distance = builder.call(saturating, [distance, builder.call(ones, [builder.xor(block, byte)])])
            ours = builder.icmp_unsigned("<=", distance, splat(builder, builder.trunc(limit, _I8), _BYTES))
            theirs = builder.icmp_unsigned("<=", distance, load(limits, limits_at, 4, _BYTES))
            return builder.zext(builder.bitcast(builder.or_(ours, theirs), ir.IntType(BLOCK)), _I64)

        arrays = codes, types.int64, query, types.int64, limits, types.int64, types.int64
        return types.uint64(*arrays), codegen

    return near


near_16_bytes, near_32_bytes = _near_bytes(16), _near_bytes(32)
