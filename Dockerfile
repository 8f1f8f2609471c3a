# The front-door container: Node, Portico, and nothing to build.
FROM node:26-slim
WORKDIR /portico
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force
COPY src ./src
# Whatever the rights of the files where it is built. Only the demo and ACME write, and only to certs: all else runs on a read-only file system.
RUN chmod -R a+rX src && mkdir certs && chown node:node certs
USER node
EXPOSE 7000 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["node", "src/launch.mjs", "healthcheck"]
ENTRYPOINT ["node", "src/launch.mjs"]
CMD ["run"]
