using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Leap;

/// <summary>Memory outside of the collected heap, of any content at first. Freed when each of its users has released it, or when nothing refers to it any
/// more.</summary>
/// <remarks>On Linux a large block lies in huge pages where the system has some. Otherwise each 4 kilobytes cost a page fault at their first
/// byte, which on a virtual machine can take most of the time in which a process loads a model.</remarks>
internal sealed unsafe partial class NativeBlock
{
    /// <summary>Where a block starts: at a multiple of a cache line's bytes.</summary>
    public const int Alignment = 64;

    private const long HugePage = 1 << 21;

    // Linux's number, the same for all processors.
    private const int WantHugePages = 14;

    private byte* _start;
    private int _users = 1;

    /// <summary>Takes memory, for one user.</summary>
    /// <param name="bytes">How much; over 0.</param>
    public NativeBlock(long bytes)
    {
        // A page that would stay empty for the most part is not worth it.
        long inHugePages = OperatingSystem.IsLinux() ? (bytes + HugePage / 2) / HugePage * HugePage : 0;
        _start = (byte*)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, inHugePages), (nuint)(inHugePages > 0 ? HugePage : Alignment));
        if (inHugePages > 0)
        {
            // Where it is refused, the memory has ordinary pages.
            _ = Advise(_start, (nuint)inHugePages, WantHugePages);
        }
    }

    ~NativeBlock() => NativeMemory.AlignedFree(_start);

    /// <summary>Gets the first byte. Good for as long as this object lives.</summary>
    public byte* Start => _start;

    /// <summary>Counts one user more.</summary>
    public NativeBlock AddUser()
    {
        Interlocked.Increment(ref _users);
        return this;
    }

    /// <summary>Tells that a user is done. The last one's call frees the memory.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "Disposing is for one user; a block may have several.")]
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) > 0)
            return;
        NativeMemory.AlignedFree(_start);
        _start = null;
        GC.SuppressFinalize(this);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(byte* start, nuint length, int advice);
}

/// <summary>Numbers in memory outside of the collected heap, of any value at first. Freed when nothing refers to them any more.</summary>
/// <remarks>What reads and writes one number is inlined even where code is interpreted: a browser compiles no loop that calls.</remarks>
internal readonly unsafe struct NativeArray<T>
    where T : unmanaged
{
    private readonly NativeBlock? _block;
    private readonly T* _start;

    /// <param name="length">How many.</param>
    public NativeArray(int length)
    {
        Length = length;
        if (length == 0)
            return;
        _block = new NativeBlock((long)length * sizeof(T));
        _start = (T*)_block.Start;
    }

    /// <param name="values">What to copy.</param>
    public NativeArray(ReadOnlySpan<T> values)
        : this(values.Length) => values.CopyTo(AsSpan(0, Length));

    public int Length { get; }

    public T this[int i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)i >= (uint)Length)
                ThrowOutside();
            T value = _start[i];
            GC.KeepAlive(_block);
            return value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Set(int i, T value)
    {
        if ((uint)i >= (uint)Length)
            ThrowOutside();
        _start[i] = value;
        GC.KeepAlive(_block);
    }

    /// <summary>Gives some of the numbers, for as long as the caller refers to this array.</summary>
    public Span<T> AsSpan(int start, int length) => new Span<T>(_start, Length).Slice(start, length);

    [DoesNotReturn]
    private static void ThrowOutside() => throw new ArgumentOutOfRangeException("i", "There is no such number in the array.");
}
