// What the page makes of texts: the level, as digests, or what is wrong and where. Answers on the standard output.
const kernels = await Kernels.load(input.module, input.manifest),
  builder = new Builder(kernels);
console.log(
  JSON.stringify(
    input.texts.map((text) => {
      try {
        const { library, options } = builder.environment(text);
        return { map: hex(sha256(library.map)), world: hex(sha256(library.world)), options: hex(sha256(options)) };
      } catch (error) {
        if (!(error instanceof LevelError)) throw error;
        return { message: error.message, line: error.line, column: error.column };
      }
    }),
  ),
);
