# The front-door container: Node, Portico, and nothing to build.
FROM node:26-slim
WORKDIR /portico
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force
COPY src ./src
RUN mkdir certs && chown node:node certs
USER node
EXPOSE 7000 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=20s CMD ["node", "src/launch.mjs", "healthcheck"]
ENTRYPOINT ["node", "src/launch.mjs"]
CMD ["run"]
