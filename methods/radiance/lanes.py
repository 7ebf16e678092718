"""Sixteen numbers at once inside numba kernels: a vector type with loads, arithmetic, gathers and exp.

LLVM does not vectorise loops that gather from tables or keep sums in registers across an inner loop, because it cannot
rule out that arrays overlap; here the vectors are written out. Sixteen float32 fill one AVX-512 register, and LLVM
splits them on smaller machines. float64 works too, for tests. Knows no field and no rays.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,untyped-decorator"
# (numba infers the types of arguments; the functions below are read by its compiler, never by Python)

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as _intrinsic
from numba.extending import lower_builtin, models, register_model, type_callable

intrinsic: Any = _intrinsic  # what it returns takes no `typing` argument, which its annotations do not say
LANES = 16
FLAGS = ("contract", "reassoc", "nsz", "arcp")  # the kernels' fastmath, see jit.py
INT = ir.IntType(32)
# exp(x) = 2ⁿ·exp(r), |r| ≤ ln 2 / 2, with the minimax polynomial of Cephes' expf
LOG2_E, LN2 = 1.44269504088896341, 0.69314718055994531
EXP_TERMS = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1.0, 1.0)
EXP_LEAST, EXP_MOST = -87.0, 88.0  # where float32 neither under- nor overflows
EXP_BIAS = 128  # makes n positive, so that truncation rounds it


class Lanes(types.Type):
    """Numba's type of sixteen numbers of one type."""

    def __init__(self, dtype) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes) -> None:
        super().__init__(manager, lanes, ir.VectorType(manager.lookup(lanes.dtype).get_value_type(), LANES))


def _address(context, builder, array_type, array, index, target):
    """Pointer to array[index], array 1-D and contiguous, as a pointer to `target`."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), target.as_pointer())


def _spread(builder, vector, value):
    """`value` in all lanes."""
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(INT, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))


def _as_lanes(context, builder, value, kind, wanted):
    """A scalar or vector argument as a vector of type `wanted`."""
    if isinstance(kind, Lanes):
        return value
    return _spread(builder, context.get_value_type(wanted), context.cast(builder, value, kind, wanted.dtype))


@intrinsic
def load(typing, array, index):
    """array[index : index + 16] of a contiguous 1-D array."""
    lanes = Lanes(array.dtype)

    def generate(context, builder, signature, arguments):
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        vector = context.get_value_type(lanes)
        found = builder.load(_address(context, builder, signature.args[0], arguments[0], place, vector))
        found.align = array.dtype.bitwidth // 8
        return found

    return lanes(array, index), generate


@intrinsic
def store(typing, array, index, value):
    """array[index : index + 16] = value."""

    def generate(context, builder, signature, arguments):
        place = context.cast(builder, arguments[1], signature.args[1], types.intp)
        vector = context.get_value_type(signature.args[2])
        address = _address(context, builder, signature.args[0], arguments[0], place, vector)
        builder.store(arguments[2], address).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@intrinsic
def spread(typing, value):
    """A number in all lanes."""
    lanes = Lanes(value)

    def generate(context, builder, signature, arguments):
        return _spread(builder, context.get_value_type(lanes), arguments[0])

    return lanes(value), generate


def _arithmetic(python_operator, of_floats: str, of_integers: str) -> None:
    """Let a Python operator act on lanes, lane by lane; a number on one side goes to all lanes."""

    @type_callable(python_operator)
    def _(context):
        def result(left, right):
            if isinstance(left, Lanes) or isinstance(right, Lanes):
                return left if isinstance(left, Lanes) else right
            return None

        return result

    def act(context, builder, signature, arguments):
        lanes = signature.return_type
        pair = [
            _as_lanes(context, builder, value, kind, lanes)
            for value, kind in zip(arguments, signature.args, strict=True)
        ]
        if isinstance(lanes.dtype, types.Float):
            return getattr(builder, of_floats)(*pair, flags=FLAGS)
        return getattr(builder, of_integers)(*pair)

    # not numba's `overload`, which would compile and link a function for every pair of types
    for pair in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(python_operator, *pair)(act)


_arithmetic(operator.add, "fadd", "add")
_arithmetic(operator.iadd, "fadd", "add")
_arithmetic(operator.sub, "fsub", "sub")
_arithmetic(operator.mul, "fmul", "mul")
_arithmetic(operator.truediv, "fdiv", "udiv")
_arithmetic(operator.and_, "and_", "and_")
_arithmetic(operator.xor, "xor", "xor")


def _limit(sign: str):
    @intrinsic
    def limit(typing, value, bound):
        def generate(context, builder, signature, arguments):
            other = _as_lanes(context, builder, arguments[1], bound, value)
            return builder.select(builder.fcmp_ordered(sign, arguments[0], other), other, arguments[0])  # NaN stays

        return value(value, bound), generate

    return limit


at_least = _limit("<")  # max(value, bound)
at_most = _limit(">")  # min(value, bound)


@intrinsic
def where_above(typing, tested, bound, value):
    """value where tested > bound, else 0; NaN counts as above, so that it goes on."""

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(value)
        other = _as_lanes(context, builder, arguments[1], bound, tested)
        kept = builder.fcmp_unordered(">", arguments[0], other)
        return builder.select(kept, arguments[2], ir.Constant(vector, [0.0] * LANES))

    return value(tested, bound, value), generate


@intrinsic
def nonzero(typing, value):
    """1 in lanes that are not 0, else 0; NaN counts as not 0."""

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(value)
        return builder.uitofp(builder.fcmp_unordered("!=", arguments[0], ir.Constant(vector, [0.0] * LANES)), vector)

    return value(value), generate


@intrinsic
def root(typing, value):
    """The square root of every lane."""

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(value)
        name = f"llvm.sqrt.v{LANES}f{value.dtype.bitwidth}"
        library = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
        return builder.call(library, arguments)

    return value(value), generate


@intrinsic
def truncated(typing, value):
    """Non-negative floats below 2³¹ → uint32, towards zero."""
    lanes = Lanes(types.uint32)

    def generate(context, builder, signature, arguments):
        return builder.fptosi(arguments[0], context.get_value_type(lanes))

    return lanes(value), generate


@intrinsic
def whole(typing, value):
    """Non-negative floats below 2³¹ without what follows their point."""

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(value)
        return builder.sitofp(builder.fptosi(arguments[0], ir.VectorType(INT, LANES)), vector)

    return value(value), generate


@intrinsic
def fraction(typing, value, whole):
    """value − whole, of floats and what `truncated` made of them."""

    def generate(context, builder, signature, arguments):
        return builder.fsub(arguments[0], builder.sitofp(arguments[1], context.get_value_type(value)), flags=FLAGS)

    return value(value, whole), generate


@intrinsic
def gather_bytes(typing, grid, index, like):
    """Bytes at `index` (lanes of uint32) of a flat array, as floats like `like`."""

    def generate(context, builder, signature, arguments):
        vector, byte = context.get_value_type(like), ir.IntType(8)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        places = builder.zext(arguments[1], ir.VectorType(ir.IntType(64), LANES))
        found = ir.Constant(ir.VectorType(byte, LANES), ir.Undefined)
        for lane in range(LANES):
            at = ir.Constant(INT, lane)
            value = builder.load(builder.gep(data, [builder.extract_element(places, at)]))
            found = builder.insert_element(found, value, at)
        return builder.uitofp(found, vector)

    return like(grid, index, like), generate


def _pair_types(context, lanes):
    """The integer that holds two numbers of a table's row, and that of one."""
    bits = lanes.dtype.bitwidth
    return ir.IntType(2 * bits), ir.IntType(bits), context.get_value_type(lanes)


@intrinsic
def gather_pairs(typing, table, index):
    """Both columns of rows `index` (lanes of uint32) of a contiguous table (E, 2).

    A load for each row: as fast as the hardware's gathers (measured), and there on every machine.
    """
    lanes = Lanes(table.dtype)
    pair = types.UniTuple(lanes, 2)

    def generate(context, builder, signature, arguments):
        both, one, vector = _pair_types(context, lanes)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        rows = builder.bitcast(data, both.as_pointer())
        places = builder.zext(arguments[1], ir.VectorType(ir.IntType(64), LANES))
        wide = ir.VectorType(both, LANES)
        found = ir.Constant(wide, ir.Undefined)
        for lane in range(LANES):
            at = ir.Constant(INT, lane)
            row = builder.load(builder.gep(rows, [builder.extract_element(places, at)]))
            row.align = table.dtype.bitwidth // 8
            found = builder.insert_element(found, row, at)
        narrow = ir.VectorType(one, LANES)
        shift = ir.Constant(wide, [table.dtype.bitwidth] * LANES)
        columns = [builder.trunc(found, narrow), builder.trunc(builder.lshr(found, shift), narrow)]
        return context.make_tuple(builder, pair, [builder.bitcast(column, vector) for column in columns])

    return pair(table, index), generate


@intrinsic
def scatter_pairs(typing, table, index, first, second):
    """Adds (first, second) to rows `index` of a contiguous table (E, 2), one lane after the other."""

    def generate(context, builder, signature, arguments):
        number = context.get_value_type(table.dtype)
        row = ir.VectorType(number, 2)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        rows = builder.bitcast(data, row.as_pointer())
        places = builder.zext(arguments[1], ir.VectorType(ir.IntType(64), LANES))
        for lane in range(LANES):
            added = builder.shuffle_vector(
                arguments[2], arguments[3], ir.Constant(ir.VectorType(INT, 2), [lane, LANES + lane])
            )
            address = builder.gep(rows, [builder.extract_element(places, ir.Constant(INT, lane))])
            before = builder.load(address)
            before.align = table.dtype.bitwidth // 8
            builder.store(builder.fadd(before, added, flags=FLAGS), address).align = table.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(table, index, first, second), generate


@intrinsic
def total(typing, value):
    """The sum of all lanes, halves added to halves."""

    def generate(context, builder, signature, arguments):
        left, width = arguments[0], LANES
        while width > 1:
            width //= 2
            half = ir.VectorType(INT, width)
            low = builder.shuffle_vector(left, left, ir.Constant(half, list(range(width))))
            high = builder.shuffle_vector(left, left, ir.Constant(half, list(range(width, 2 * width))))
            left = builder.fadd(low, high, flags=FLAGS)
        return builder.extract_element(left, ir.Constant(INT, 0))

    return value.dtype(value), generate


@intrinsic
def exponential(typing, value):
    """exp, lane by lane; float32 to 2e-7 relative (clamped to finite results), float64 by the maths library."""

    def generate(context, builder, signature, arguments):
        vector = context.get_value_type(value)
        if value.dtype != types.float32:
            shape = ir.FunctionType(vector, [vector])
            library = cgutils.get_or_insert_function(builder.module, shape, f"llvm.exp.v{LANES}f64")
            return builder.call(library, [arguments[0]])
        return _exponential(builder, vector, arguments[0])

    return value(value), generate


def _exponential(builder, vector, value):
    """The float32 case."""

    def fixed(number: float):
        return ir.Constant(vector, [number] * LANES)

    whole = ir.VectorType(INT, LANES)
    low, high = fixed(EXP_LEAST), fixed(EXP_MOST)
    held = builder.select(builder.fcmp_ordered("<", value, low), low, value)
    held = builder.select(builder.fcmp_ordered(">", held, high), high, held)
    shifted = builder.fadd(builder.fmul(held, fixed(LOG2_E), flags=FLAGS), fixed(EXP_BIAS + 0.5), flags=FLAGS)
    power = builder.sub(builder.fptosi(shifted, whole), ir.Constant(whole, [EXP_BIAS] * LANES))
    rest = builder.fsub(held, builder.fmul(builder.sitofp(power, vector), fixed(LN2), flags=FLAGS), flags=FLAGS)
    found = fixed(EXP_TERMS[0])
    for term in EXP_TERMS[1:]:
        found = builder.fadd(builder.fmul(found, rest, flags=FLAGS), fixed(term), flags=FLAGS)
    # adding n to the exponent's bits multiplies by 2ⁿ
    bits = builder.add(builder.bitcast(found, whole), builder.shl(power, ir.Constant(whole, [23] * LANES)))
    return builder.select(builder.fcmp_unordered("uno", value, value), value, builder.bitcast(bits, vector))
